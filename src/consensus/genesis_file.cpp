#include "consensus/genesis_file.h"

#include <fmt/format.h>

namespace sluice::consensus {
namespace {

// Least bytes of an element: what a count is checked against before anything is allocated.
constexpr size_t kMinAllocationBytes = 1 + 8;
constexpr size_t kMinStakerBytes = 8 + 1 + 1;

// A time or duration as signed milliseconds.
template <class Archive, class T, class FromMillis>
void Millis(Archive& archive, T& field, int64_t count, FromMillis from) {
    archive(count);
    if constexpr (Archive::kReading) field = from(milliseconds(count));
}

template <class Archive>
void ParamsFields(auto& params, Archive& archive) {
    archive.VarBytes(params.network, kMaxShortTextBytes);
    archive.VarBytes(params.hrp, kMaxShortTextBytes);
    archive.Raw(params.magic);
    archive(params.p2p_port, params.rpc_port);
    Millis(archive, params.genesis_time, params.genesis_time.time_since_epoch().count(),
           [](milliseconds ms) { return UnixMillis(ms); });
    Millis(archive, params.slot_duration, params.slot_duration.count(), [](milliseconds ms) { return ms; });
    archive(params.active_slots_numerator, params.active_slots_denominator, params.epoch_slots,
            params.nonce_cutoff_slots, params.k);
    archive(params.subsidy_numerator, params.subsidy_denominator);
    archive(params.record_fee_per_byte, params.anchor_per_byte, params.bond, params.unbonding_slots);
    archive(params.refund_window_blocks, params.superseded_grace_blocks, params.channel_window_blocks);
}

// A staker, whose keys are the record that would register it.
struct StakerFields {
    GenesisStaker staker;

    static void Serialize(auto& self, auto& archive) { Write(self.staker, archive); }

    template <class Archive>
    static void Write(auto& staker, Archive& archive) {
        archive(staker.id);
        if constexpr (Archive::kReading) {
            const auto record = DecodeRecord(archive.VarSpan(kMaxRecordBytes));
            const auto* keys = record ? std::get_if<RegisterRecord>(&*record) : nullptr;
            if (keys != nullptr)
                staker.keys = *keys;
            else
                archive.SetError("the keys of staker " + staker.id.Hex() + " are not a register record");
        } else {
            archive.VarBytes(EncodeRecord(staker.keys), kMaxRecordBytes);
        }
        archive.VarBytes(staker.bond_script, kMaxPayoutScriptBytes);
    }
};

}  // namespace

Bytes EncodeGenesisFields(const Genesis& genesis) {
    Writer writer;
    ParamsFields(genesis.params, writer);
    writer(genesis.first_nonce);
    writer.Vector(genesis.allocations, kMaxGenesisOutputs);
    writer.CompactSize(genesis.stakers.size());
    for (const GenesisStaker& staker : genesis.stakers) StakerFields::Write(staker, writer);
    return writer.Take();
}

Bytes EncodeGenesisFile(const Genesis& genesis) {
    Bytes file = ToBytes(AsBytes(kGenesisFileHeader));
    const Bytes fields = EncodeGenesisFields(genesis);
    const BlockHash hash = genesis.Hash();
    file.insert(file.end(), fields.begin(), fields.end());
    file.insert(file.end(), hash.begin(), hash.end());
    return file;
}

Result<Genesis> DecodeGenesisFile(ByteSpan bytes) {
    if (bytes.size() > kMaxGenesisFileBytes)
        return Fail(fmt::format("genesis: {} bytes are over the limit of {}", bytes.size(), kMaxGenesisFileBytes));
    if (!ToString(bytes.first(std::min(bytes.size(), kGenesisFileHeader.size()))).starts_with(kGenesisFileHeader))
        return Fail("genesis: this is not a genesis file: make one with sluice-util genesis");
    Genesis genesis;
    std::vector<StakerFields> stakers;
    BlockHash hash;
    Reader reader(bytes.subspan(kGenesisFileHeader.size()));
    ParamsFields(genesis.params, reader);
    reader(genesis.first_nonce);
    reader.Vector(genesis.allocations, kMaxGenesisOutputs, kMinAllocationBytes);
    reader.Vector(stakers, kMaxGenesisOutputs, kMinStakerBytes);
    reader(hash);
    if (!reader.Ok()) return Fail("genesis: the file is damaged: " + reader.error());
    if (reader.Left() != 0)
        return Fail(fmt::format("genesis: the file is damaged: {} bytes follow its end", reader.Left()));
    for (StakerFields& fields : stakers) genesis.stakers.push_back(std::move(fields.staker));
    RETURN_IF_ERROR(CheckCustomGenesis(genesis));
    if (genesis.Hash() != hash)
        return Fail("genesis: the file is damaged: its fields do not have the hash at its end; copy it again");
    return genesis;
}

}  // namespace sluice::consensus
