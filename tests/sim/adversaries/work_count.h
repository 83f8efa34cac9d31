#pragma once

#include <cstdint>

namespace sluice::sim {

// What was verified in this process so far, by all nodes of all worlds together.
struct WorkCount {
    uint64_t vrf_proofs{0};
    uint64_t signatures{0};  // BIP340, of headers and of transactions

    friend WorkCount operator-(const WorkCount& a, const WorkCount& b) {
        return {a.vrf_proofs - b.vrf_proofs, a.signatures - b.signatures};
    }
};
WorkCount WorkDone();

// Memory of this process that is in RAM.
uint64_t ResidentBytes();

}  // namespace sluice::sim
