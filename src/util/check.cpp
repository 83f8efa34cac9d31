#include "util/check.h"

#include <cstdio>
#include <cstdlib>

namespace sluice {

void CheckFailed(const char* condition, std::source_location where) noexcept {
    std::fprintf(stderr, "sluice: internal error: CHECK(%s) failed at %s:%u in %s\n", condition, where.file_name(),
                 static_cast<unsigned>(where.line()), where.function_name());
    std::fflush(stderr);
    std::abort();
}

}  // namespace sluice
