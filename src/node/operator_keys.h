#pragma once

#include <functional>
#include <optional>
#include <string>

#include "consensus/header_rules.h"
#include "storage/file_system.h"
#include "util/random.h"

namespace sluice::node {

// The file of a staker's hot operator keys (-stakerkeys=FILE): a JSON object with exactly these fields, in any order,
//
//     {"version": 1, "staker": null or 16 hex digits, "vrf_secret": 64 hex digits, "signing_secret": 64 hex digits}
//
// Whoever has it can make blocks in the staker's name, and lose its bond by signing two for a slot; it can never spend
// coins. "staker" is null until the keys are registered. Nothing read or written here leaves a copy of a secret behind
// in memory, and no error shows one.
struct OperatorKeyFile {
    std::optional<StakerId> staker;
    crypto::VrfSecretKey vrf;
    crypto::SecretKey signing;

    // What block production takes; `id` for keys whose file names no staker. Precondition: if it does, `id` is that.
    consensus::OperatorKeys Keys(const StakerId& id) const { return {id, vrf.Clone(), signing.Clone()}; }
    crypto::VrfPublicKey VrfPublic() const { return crypto::VrfPublic(vrf); }
    XOnlyPubKey SigningPublic() const { return signing.XOnly(); }
};

// Fresh keys that belong to no staker yet.
OperatorKeyFile MakeOperatorKeys(RandomSource& random);

// Whether no other user of the machine can read or write what `path` leads to.
using IsPrivateFile = std::function<Result<bool>(const std::string& path)>;
// By the permissions of the operating system's file: none for group and others.
Result<bool> PosixFileIsPrivate(const std::string& path);

inline constexpr size_t kMaxOperatorKeyFileBytes = 4096;

// Refuses files that others can read or write, unknown, missing and repeated fields and every other version. A disk
// in memory takes its own `is_private`.
Result<OperatorKeyFile> ReadOperatorKeys(storage::FileSystem& files, const std::string& path,
                                         const IsPrivateFile& is_private = PosixFileIsPrivate);

// What is done about a file that is there already: nothing loses keys by mistake.
enum class ExistingFile { kRefuse, kReplace };

// Atomically, with mode 0600.
Status WriteOperatorKeys(storage::FileSystem& files, const std::string& path, const OperatorKeyFile& keys,
                         ExistingFile existing = ExistingFile::kRefuse);

}  // namespace sluice::node
