#pragma once

#include <functional>
#include <optional>
#include <string>

#include "apps/sluice_cli/command_line.h"

namespace sluice::apps {

// What a GET of the content gateway gives.
struct GatewayAnswer {
    uint64_t length_bytes{0};  // that come now
    uint64_t first_byte{0};    // of the whole
    uint64_t size_bytes{0};    // of the whole
};

// Reads `url` (http://127.0.0.1:PORT/...) from its start to its end, handing on what comes; `range` is the value of a
// Range field, if a part is wanted. `begin` is called once before the bytes; a false `bytes` ends it without an error.
CliResult<GatewayAnswer> ReadFromGateway(const std::string& url, const std::optional<std::string>& range,
                                         const std::function<void(const GatewayAnswer&)>& begin,
                                         const std::function<bool(std::string_view)>& bytes);

}  // namespace sluice::apps
