#include "node/publish_record.h"

#include <fmt/format.h>

#include "consensus/record_rules.h"

namespace sluice::node {

using namespace content;

namespace {

Status CheckClean(const PublishRecord& record) {
    const auto check = [](const std::string& text, std::string_view field, bool lines = false) -> Status {
        if (consensus::IsCleanText(text, lines)) return {};
        return Fail(fmt::format("{} has control characters or is not UTF-8: {} it", field,
                                field == "the file name" ? "rename" : "change"));
    };
    RETURN_IF_ERROR(check(record.title, "title"));
    RETURN_IF_ERROR(check(record.description, "description", true));
    RETURN_IF_ERROR(check(record.mime, "mime"));
    RETURN_IF_ERROR(check(record.file_name, "the file name"));
    RETURN_IF_ERROR(check(record.language, "language"));
    for (const std::string& tag : record.tags) RETURN_IF_ERROR(check(tag, "a tag"));
    for (const std::string& endpoint : record.endpoints) RETURN_IF_ERROR(check(endpoint, "an endpoint"));
    return {};
}

Status CheckList(const std::vector<std::string>& texts, std::string_view one, std::string_view many, size_t most,
                 size_t most_bytes) {
    if (texts.size() > most) return Fail(fmt::format("there are {} {}, the limit is {}", texts.size(), many, most));
    for (const std::string& text : texts)
        if (text.empty() || text.size() > most_bytes)
            return Fail(fmt::format("{} has {} bytes: 1 to {} are possible", one, text.size(), most_bytes));
    return {};
}

}  // namespace

Status CheckRecordTexts(const PublishRecord& record) {
    const auto check = [](const std::string& text, std::string_view field, size_t most) -> Status {
        if (text.size() <= most) return {};
        return Fail(fmt::format("{} has {} bytes, the limit is {}", field, text.size(), most));
    };
    if (record.title.empty()) return Fail("title is empty");
    RETURN_IF_ERROR(check(record.title, "title", kMaxTitleBytes));
    RETURN_IF_ERROR(check(record.description, "description", kMaxDescriptionBytes));
    RETURN_IF_ERROR(check(record.mime, "mime", kMaxShortTextBytes));
    RETURN_IF_ERROR(check(record.language, "language", kMaxTagBytes));
    if (record.file_name.size() > kMaxShortTextBytes)
        return Fail(fmt::format("the file name has more than {} bytes: rename it", kMaxShortTextBytes));
    RETURN_IF_ERROR(CheckList(record.tags, "a tag", "tags", kMaxTags, kMaxTagBytes));
    RETURN_IF_ERROR(CheckList(record.endpoints, "an endpoint", "endpoints", kMaxEndpoints, kMaxEndpointBytes));
    return CheckClean(record);
}

void RecordMaker::TakeKeys(PublishRecord& record) {
    const MasterKey master = m_wallet.ContentMasterKey();
    record.title_salt = Salt(m_random.Array<32>());
    record.title_key = DeriveTitleKey(master, m_genesis, record.title_salt).Public();
    record.seller_key = DeriveSellerKey(master, m_genesis, record.title_salt).XOnly();
    record.unseal_key = crypto::X25519Public(DeriveUnsealKey(master, m_genesis, record.title_salt));
}

Result<crypto::SecretKey> RecordMaker::TitleKeyOf(const PublishRecord& record) const {
    crypto::SecretKey own = DeriveTitleKey(m_wallet.ContentMasterKey(), m_genesis, record.title_salt);
    if (own.Public() == record.title_key) return own;
    if (record.free_key) {
        auto free = crypto::SecretKey::FromBytes(record.free_key->bytes);
        if (free && free->Public() == record.title_key) return std::move(*free);
    }
    return Fail(
        "this wallet does not have the title key of the claim, which came to it by a transfer: publish the content "
        "again as a new edition (new_edition, with a path)");
}

Status RecordMaker::Apply(PublishRecord& record, const PublishOptions& options) const {
    if (options.free) {
        ASSIGN_OR_RETURN(const crypto::SecretKey key, TitleKeyOf(record));
        record.free_key = Hash256::FromBytes(key.bytes());
        record.price = Amount(0);
        for (Segment& segment : record.segments) segment.price = Amount(0);
    }
    if (options.price && *options.price != Amount(0)) {
        if (record.free_key) return Fail("the key of this claim was published: only a new edition can have a price");
        record.price = *options.price;
    }
    if (options.seed_price_per_mib) record.seed_price_per_mib = *options.seed_price_per_mib;
    const PublishTexts& texts = options.texts;
    if (texts.title) record.title = *texts.title;
    if (texts.description) record.description = *texts.description;
    if (texts.mime) record.mime = *texts.mime;
    if (texts.language) record.language = *texts.language;
    if (texts.tags) record.tags = *texts.tags;
    if (texts.endpoints) record.endpoints = *texts.endpoints;
    return CheckRecordTexts(record);
}

Result<PublishRecord> RecordMaker::New(const PublishOptions& options, const std::string& file_name) {
    const Amount price = options.price.value_or(Amount(0));
    if (price == Amount(0) && !options.free) return Fail("price is 0: give a price above 0, or publish it as free");
    if (price != Amount(0) && options.free) return Fail("free content has no price: leave the price out");
    if (options.new_edition) return Fail("new_edition is for updates of a claim");
    PublishRecord record;
    TakeKeys(record);
    record.sealing_salt = Salt(m_random.Array<32>());
    record.file_name = record.title = file_name;
    RETURN_IF_ERROR(Apply(record, options));
    return record;
}

Result<PublishRecord> RecordMaker::Update(const ClaimInfo& claim, const PublishOptions& options,
                                          const std::optional<std::string>& file_name) {
    if (options.price && (*options.price == Amount(0)) != options.free)
        return Fail("price is 0: give a price above 0, or make it free");
    if (options.new_edition && !file_name)
        return Fail("a new edition is sealed anew: give the path of its file or folder");
    PublishRecord record = claim.record;
    record.updates = claim.id;
    record.previous = claim.anchor;
    if (options.new_edition) {
        TakeKeys(record);
        if (record.free_key && !options.free && !options.price)
            return Fail("give the new edition a price, or publish it as free");
        record.free_key.reset();
    } else {
        ASSIGN_OR_RETURN(const auto key, TitleKeyOf(record));  // to be able to sell what it says
    }
    if (file_name) {
        record.sealing_salt = Salt(m_random.Array<32>());
        record.file_name = *file_name;
        record.segments.clear();
        record.preview.reset();
        record.thumbnail.reset();
        record.bundle.clear();
    }
    RETURN_IF_ERROR(Apply(record, options));
    return record;
}

}  // namespace sluice::node
