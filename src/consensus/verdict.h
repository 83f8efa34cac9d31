#pragma once

#include <string>

#include "util/result.h"

namespace sluice::consensus {

// Why something is invalid. `code` is stable and short, in Bitcoin Core's manner ("bad-txns-in-belowout"); `detail` is
// a sentence for people that names the field and the limit.
struct Invalid {
    enum class What {
        kConsensus,      // breaks a rule for ever: whoever sent it is at fault
        kMutatedBody,    // this copy of the body does not belong to its header, which stays innocent
        kMissingInputs,  // spends outputs that do not exist (yet, or any more)
        kPremature,      // not yet: lock time, coinbase maturity, slot in the future
        kPolicy,         // valid, but not relayed or mined by us
    };
    What what{What::kConsensus};
    std::string code;
    std::string detail;

    std::string ToString() const { return detail.empty() ? code : code + ": " + detail; }
};

template <class T>
using Verdict = Result<T, Invalid>;

inline tl::unexpected<Invalid> Reject(std::string code, std::string detail = {}) {
    return tl::unexpected<Invalid>(Invalid{Invalid::What::kConsensus, std::move(code), std::move(detail)});
}
inline tl::unexpected<Invalid> Reject(Invalid::What what, std::string code, std::string detail = {}) {
    return tl::unexpected<Invalid>(Invalid{what, std::move(code), std::move(detail)});
}

}  // namespace sluice::consensus
