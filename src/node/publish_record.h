#pragma once

#include <optional>
#include <string>
#include <vector>

#include "node/claims.h"

// The record of a publish from what its creator wants: a new claim, a new version, or other terms of a claim.

namespace sluice::node {

// What a publish says. On an update what is not given stays as it is.
struct PublishTexts {
    std::optional<std::string> title;  // new claim without one: the file's name
    std::optional<std::string> description;
    std::optional<std::string> mime;
    std::optional<std::string> language;
    std::optional<std::vector<std::string>> tags;
    std::optional<std::vector<std::string>> endpoints;
};

struct PublishOptions {
    std::optional<Amount> price;  // of the key; 0 only if free. A new claim needs one, unless it is free
    bool free{false};             // the key is published with the record
    PublishTexts texts;
    std::optional<Amount> seed_price_per_mib;  // hint for seeders
    Amount ask_per_mib;                        // what this node asks itself
    bool new_edition{false};                   // an update under a new title key: earlier buyers do not open it

    // Shown to everybody, without a key.
    std::string preview_path;    // a file that is the preview; empty: made from the content, if that can be done
    std::string thumbnail_path;  // likewise
    bool make_previews{true};    // false: nothing is made
    uint32_t preview_seconds{15};

    std::optional<Hash256> seal_key;  // regtest only: sealed with this instead of the title key, to test cheating
};

// Every limit that consensus has for the record's texts. The error names the field.
Status CheckRecordTexts(const PublishRecord& record);

// The record of a publish, all but what sealing gives (content, manifest, segments' places, previews).
class RecordMaker {
  public:
    RecordMaker(const wallet::Wallet& wallet, const BlockHash& genesis, RandomSource& random)
        : m_wallet(wallet), m_genesis(genesis), m_random(random) {}

    // Of a new claim. `file_name` is the last part of the path.
    Result<PublishRecord> New(const PublishOptions& options, const std::string& file_name);
    // Of an update of `claim`; `file_name` is given if the content is new: it is sealed under a new salt, and under a
    // new title key if it is a new edition. kInvalid if the wallet does not have the title key that stays.
    Result<PublishRecord> Update(const ClaimInfo& claim, const PublishOptions& options,
                                 const std::optional<std::string>& file_name);
    // k of such a record. kInvalid if it is not this wallet's.
    Result<crypto::SecretKey> TitleKeyOf(const PublishRecord& record) const;

  private:
    void TakeKeys(PublishRecord& record);
    Status Apply(PublishRecord& record, const PublishOptions& options) const;

    const wallet::Wallet& m_wallet;
    const BlockHash& m_genesis;
    RandomSource& m_random;
};

}  // namespace sluice::node
