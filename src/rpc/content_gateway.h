#pragma once

#include <memory>
#include <string>

#include "node/content_tokens.h"
#include "node/streams.h"
#include "util/clock.h"

namespace sluice::rpc {

struct GatewayOptions {
    std::string address{"127.0.0.1"};     // numeric, loopback only: the traffic is not encrypted
    uint16_t port{0};                     // 0: any free one
    std::string credentials;              // "user:password" of the cookie, for programs (basic auth); never empty
    size_t max_connections{64};           // more get 503
    size_t max_header_bytes{16 << 10};    // more gets 431
    milliseconds idle_timeout{30'000};    // between requests, and for the whole header of one
    milliseconds stall_timeout{300'000};  // for the client to take what one write gives it: a player that pauses
    milliseconds read_timeout{60'000};    // for a part to come from the network, before 504 or the end of the answer
};

// The content gateway: HTTP/1.1 on loopback that serves titles while they are fetched (node/streams.h), for browsers
// and players.
//
//   GET or HEAD /content/CLAIM[/PATH] with the cookie's credentials, or /t/TOKEN/content/CLAIM[/PATH] with a capability
//   (node/content_tokens.h). A folder's URL, and what ends with '/', is its listing as JSON.
//
// Answers: 200, 206 (one range, or multipart/byteranges: rpc/http_range.h), 304, 416; 401 and 403 without the right,
// 402 without the key or the money, 404, 405, 412, 421 for a Host that is not this address (a page of another name that
// was made to point here), 431, 503, 504. Published documents are served so that they cannot act in this origin: their
// type is never guessed, and HTML runs in a sandbox without scripts.
//
// Memory is constant: one chunk for each connection. A client that leaves ends its stream. Requests on one connection
// are answered in turn, so they may be sent before the answers have come. One thread does all input and output.
class ContentGateway {
  public:
    // Listens from the moment it returns. `streams`, `tokens` and `random` outlive it.
    static Result<std::unique_ptr<ContentGateway>> Start(GatewayOptions options, node::ContentStreams& streams,
                                                         node::ContentTokens& tokens, RandomSource& random);
    ~ContentGateway();
    ContentGateway(const ContentGateway&) = delete;

    uint16_t port() const;
    // Closes everything.
    void Stop();

  private:
    class Impl;
    explicit ContentGateway(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

// The strong entity tag of a file, with its quotes: the same as long as its bytes are.
std::string EntityTag(const ContentId& content, const std::string& path, uint64_t size_bytes);

}  // namespace sluice::rpc
