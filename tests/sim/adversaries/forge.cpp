#include "sim/adversaries/forge.h"

namespace sluice::sim {

BlockHeader ForgeHeader(const BlockHash& genesis, const consensus::HeaderState& parent, Slot slot,
                        const StakerId& staker, const crypto::SecretKey& signing, RandomSource& random) {
    BlockHeader header;
    header.prev = parent.hash;
    header.slot = slot;
    header.height = parent.height + 1;
    header.staker = staker;
    random.Fill(header.tx_root.bytes);
    random.Fill(header.witness_root.bytes);
    random.Fill(header.vrf_proof.bytes);
    header.signature = signing.Sign(header.SigningHash(genesis));
    return header;
}

BlockHeader Equivocate(const BlockHash& genesis, const BlockHeader& header, const consensus::OperatorKeys& keys,
                       RandomSource& random) {
    BlockHeader other = header;
    random.Fill(other.tx_root.bytes);
    random.Fill(other.witness_root.bytes);
    other.signature = keys.signing.Sign(other.SigningHash(genesis));
    return other;
}

crypto::SecretKey RandomKey(RandomSource& random) {
    for (;;) {
        const auto bytes = random.Array<32>();
        if (auto key = crypto::SecretKey::FromBytes(bytes)) return std::move(*key);
    }
}

}  // namespace sluice::sim
