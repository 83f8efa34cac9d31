#pragma once

#include <optional>
#include <string>
#include <vector>

#include "node/operator_keys.h"

namespace sluice::node {

// The operator keys that a node stakes with: those that elect now, and, during a rotation, those that will.
//
// A rotation goes through files, each written atomically: NEXT (the key file's name with ".next") is made and its keys
// are published; both sets are tried for each slot, and the snapshot says which of them counts; once the old ones elect
// no more, NEXT takes the place of the key file. After a crash at any instant the keys of either side of a step are
// there.
class StakerKeys {
  public:
    // Keys in memory that are never replaced: regtest's public ones.
    static StakerKeys FromPublic(consensus::OperatorKeys keys);
    // The key file, and NEXT if there is one. `files` must outlive this. Without a file: no keys yet.
    static Result<StakerKeys> Open(storage::FileSystem& files, std::string path, const IsPrivateFile& is_private);
    static StakerKeys None() { return StakerKeys(); }

    // The staker that the keys belong to; nullopt before they are registered.
    const std::optional<StakerId>& staker() const { return m_staker; }
    bool HaveKeys() const { return !m_sets.empty(); }
    bool InFile() const { return m_files != nullptr; }
    const std::string& path() const { return m_path; }

    // What can lead a slot, current first. Empty before they are registered.
    const std::vector<consensus::OperatorKeys>& Producing() const { return m_producing; }
    struct Public {
        crypto::VrfPublicKey vrf_key;
        XOnlyPubKey signing_key;
        friend bool operator==(const Public&, const Public&) = default;
    };
    std::optional<Public> Current() const;
    std::optional<Public> Next() const;

    // kInvalid without a file to keep them in.
    Status Make(RandomSource& random);
    Status MakeNext(RandomSource& random);
    // Writes down whose keys these are.
    Status SetStaker(const StakerId& staker);
    // NEXT becomes the key file. Precondition: Next() has a value.
    Status Promote();

  private:
    struct Set {
        OperatorKeyFile file;
        Public shown;
    };
    StakerKeys() = default;
    void Use(OperatorKeyFile file);
    void Refresh();
    std::string NextPath() const { return m_path + ".next"; }

    storage::FileSystem* m_files{nullptr};
    std::string m_path;
    std::optional<StakerId> m_staker;
    std::vector<Set> m_sets;  // current, next
    std::vector<consensus::OperatorKeys> m_producing;
};

}  // namespace sluice::node
