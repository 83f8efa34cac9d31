#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "util/clock.h"
#include "util/result.h"

namespace sluice::rpc {

// One authorised POST, whole.
struct HttpRequest {
    std::string target;  // "/", "/wallet/..."
    std::string body;
};

struct HttpAnswer {
    int status{200};
    std::string body;  // JSON; empty for 204
};

struct HttpServerOptions {
    std::string address{"127.0.0.1"};   // numeric, loopback only: the traffic is not encrypted
    uint16_t port{0};                   // 0: any free one
    std::string credentials;            // "user:password" that every request must give (basic auth); never empty
    size_t threads{4};                  // run ordinary requests
    size_t waiting_threads{32};         // run requests that may wait, started as they are needed
    size_t queue_depth{64};             // ordinary requests that wait for a thread; more get 503
    size_t max_connections{64};         // more get 503
    size_t max_header_bytes{16 << 10};  // more gets 431
    size_t max_body_bytes{4 << 20};     // more gets 413
    milliseconds idle_timeout{30'000};  // of a connection between requests, and of each request and answer in transit
};

// HTTP/1.1 with keep-alive for RPC: authorised POSTs of JSON in, answers of a handler out. Everything a client can send
// is bounded by the options. A request is refused by its header alone, before its body is read: 401 without the
// credentials, 405 unless POST.
//
// Threads: one of its own does all input and output; handlers run on the pools. A connection has at most one request in
// work. A client that leaves does not stop a handler; its answer is dropped.
class HttpServer {
  public:
    using Handler = std::function<HttpAnswer(const HttpRequest&)>;  // called on several threads at once
    using WaitsRule =
        std::function<bool(const HttpRequest&)>;  // true: runs on a waiting thread; called on the thread of input

    // Listens from the moment it returns. Error: the port is taken (kEnvironment), the address is not of this machine's
    // loopback.
    static Result<std::unique_ptr<HttpServer>> Start(HttpServerOptions options, Handler handler, WaitsRule waits);
    // Stops.
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;

    uint16_t port() const;
    // Takes no more requests, waits until the running handlers have ended, sends their answers and closes. Not from a
    // handler.
    void Stop();

  private:
    class Impl;
    explicit HttpServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> m_impl;
};

}  // namespace sluice::rpc
