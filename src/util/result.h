#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace sluice {

// Whose fault a failure is, and so what the caller does with it. A bug of ours is neither: it is a CHECK.
enum class ErrorKind {
    kInvalid,      // the peer or the user sent something wrong; never retried as it is
    kNotFound,     // what was asked for does not exist (here)
    kFunds,        // the wallet cannot pay for it
    kNoKey,        // what opens it was not bought
    kUnavailable,  // right now it cannot be done (not synced, peer gone, locked): trying later may work
    kTimeout,      // it was waited for as long as the caller wanted: trying later may work
    kEnvironment,  // disk, permission, network interface: the operator has to act; nothing was lost
};

// A failure as one clear line: what is wrong, which field and limit, and what to do next.
struct Error {
    ErrorKind kind{ErrorKind::kInvalid};
    std::string message;

    friend bool operator==(const Error&, const Error&) = default;
};

// Value or error, with std::expected's member names; ignoring one is a compiler warning.
template <class T, class E = Error>
class [[nodiscard]] Result : public tl::expected<T, E> {
  public:
    using tl::expected<T, E>::expected;
};

using Status = Result<void>;

// The unsuccessful value of any Result<T>: `return Fail("size is 0: choose a file that is not empty");`
inline tl::unexpected<Error> Fail(ErrorKind kind, std::string message) {
    return tl::unexpected<Error>(Error{kind, std::move(message)});
}
inline tl::unexpected<Error> Fail(std::string message) { return Fail(ErrorKind::kInvalid, std::move(message)); }
inline tl::unexpected<Error> Fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace sluice

// Returns early with the error of `expression` (a Status or Result whose error type fits the function's).
#define RETURN_IF_ERROR(expression)                                                        \
    do {                                                                                   \
        if (auto _status = (expression); !_status) return tl::unexpected(_status.error()); \
    } while (false)

#define SLUICE_CONCAT_INNER(a, b) a##b
#define SLUICE_CONCAT(a, b) SLUICE_CONCAT_INNER(a, b)

// Declares `variable` as the value of `expression`, or returns early with its error.
#define ASSIGN_OR_RETURN(variable, expression) \
    ASSIGN_OR_RETURN_IMPL(SLUICE_CONCAT(_result_, __LINE__), variable, expression)
#define ASSIGN_OR_RETURN_IMPL(result, variable, expression)        \
    auto result = (expression);                                    \
    if (!result) return tl::unexpected(std::move(result).error()); \
    variable = std::move(*result)
