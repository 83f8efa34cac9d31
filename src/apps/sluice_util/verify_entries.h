#pragma once

#include <string>

#include "apps/sluice_util/json_entries.h"

// What sluice-util's verifying commands answer to one entry, as one line of JSON. None of them throws.

namespace sluice::apps {

// {"public_key", "alpha", "pi"} in hex -> {"valid": true, "beta"} or {"valid": false}, with "error" if malformed.
std::string AnswerVrf(const JsonEntry& entry);
// {"public_key", "message", "signature"} in hex -> {"valid"}, with "error" if malformed.
std::string AnswerSchnorr(const JsonEntry& entry);

struct InputAnswer {
    std::string line;
    bool mismatch{false};
};
// {"tx", "prevouts", "index", "flags", "success", "failure"}, as Bitcoin Core's script assets have them
// -> {"line", "verdict": "ok" | "mismatch" | "skipped", "success_valid", "failure_valid"}, with "error" if malformed.
InputAnswer AnswerInput(const JsonEntry& entry);

}  // namespace sluice::apps
