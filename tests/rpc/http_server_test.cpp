#include "rpc/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "rpc/cookie.h"
#include "rpc/work_pool.h"

namespace sluice::rpc {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kCredentials = "__cookie__:aa";

// A gate that handlers wait at, so that a test knows how many are inside.
class Gate {
  public:
    void Enter() {
        std::unique_lock lock(m_mutex);
        ++m_inside;
        m_changed.notify_all();
        m_changed.wait(lock, [this] { return m_open; });
    }
    void AwaitInside(int count) {
        std::unique_lock lock(m_mutex);
        m_changed.wait(lock, [&] { return m_inside >= count; });
    }
    void Open() {
        const std::lock_guard lock(m_mutex);
        m_open = true;
        m_changed.notify_all();
    }

  private:
    std::mutex m_mutex;
    std::condition_variable m_changed;
    int m_inside{0};
    bool m_open{false};
};

class Client {
  public:
    explicit Client(uint16_t port) : m_socket(m_io) { m_socket.connect({asio::ip::address_v4::loopback(), port}); }

    void Send(const std::string& bytes) {
        boost::system::error_code ignored;  // a server that refuses may close before it has read all
        asio::write(m_socket, asio::buffer(bytes), ignored);
    }
    void Post(const std::string& body, const std::string& extra = "", const std::string& credentials = kCredentials) {
        Send("POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + Base64Encode(credentials) + "\r\n" + extra +
             "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    http::response<http::string_body> Read() {
        http::response<http::string_body> response;
        http::read(m_socket, m_buffer, response);
        return response;
    }
    // Everything until the server closes.
    std::string ReadAll() {
        std::string bytes;
        boost::system::error_code error;
        asio::read(m_socket, asio::dynamic_buffer(bytes), error);
        return bytes;
    }
    bool IsClosed() {
        char byte;
        boost::system::error_code error;
        m_socket.read_some(asio::buffer(&byte, 1), error);
        return bool(error);
    }

  private:
    asio::io_context m_io;
    tcp::socket m_socket;
    boost::beast::flat_buffer m_buffer;
};

HttpServerOptions Options() {
    HttpServerOptions options;
    options.credentials = kCredentials;
    return options;
}

HttpAnswer Echo(const HttpRequest& request) { return {200, request.target + ":" + request.body}; }
bool NeverWaits(const HttpRequest&) { return false; }

std::unique_ptr<HttpServer> StartServer(HttpServerOptions options = Options(), HttpServer::Handler handler = Echo,
                                        HttpServer::WaitsRule waits = NeverWaits) {
    auto server = HttpServer::Start(std::move(options), std::move(handler), std::move(waits));
    EXPECT_TRUE(server) << (server ? "" : server.error().message);
    return server ? std::move(*server) : nullptr;
}

TEST(HttpServerTest, KeepsAConnectionForSeveralRequests) {
    const auto server = StartServer();
    Client client(server->port());
    for (const char* body : {"one", "two", ""}) {
        client.Post(body);
        const auto answer = client.Read();
        EXPECT_EQ(answer.result_int(), 200u);
        EXPECT_EQ(answer.body(), std::string("/:") + body);
        EXPECT_EQ(answer["Content-Type"], "application/json");
    }
}

TEST(HttpServerTest, AnswersPipelinedRequestsInOrder) {
    const auto server = StartServer();
    Client client(server->port());
    client.Post("one");
    client.Post("two");
    EXPECT_EQ(client.Read().body(), "/:one");
    EXPECT_EQ(client.Read().body(), "/:two");
}

TEST(HttpServerTest, ClosesWhenTheClientAsksTo) {
    const auto server = StartServer();
    Client client(server->port());
    client.Post("last", "Connection: close\r\n");
    const std::string answer = client.ReadAll();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer, HasSubstr("/:last"));
}

TEST(HttpServerTest, RefusesWrongOrMissingCredentialsBeforeTheBody) {
    const auto server = StartServer(Options(), [](const HttpRequest&) -> HttpAnswer {
        ADD_FAILURE() << "an unauthorised request reached the handler";
        return {};
    });
    Client wrong(server->port());
    wrong.Post("body", "", "__cookie__:ab");
    const auto answer = wrong.Read();
    EXPECT_EQ(answer.result_int(), 401u);
    EXPECT_EQ(answer["WWW-Authenticate"], "Basic realm=\"jsonrpc\"");
    Client missing(server->port());
    missing.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
    EXPECT_THAT(missing.ReadAll(), StartsWith("HTTP/1.1 401"));
}

TEST(HttpServerTest, AnswersPostOnly) {
    const auto server = StartServer();
    for (const char* method : {"GET", "PUT", "DELETE", "OPTIONS"}) {
        Client client(server->port());
        client.Send(std::string(method) + " / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " +
                    Base64Encode(kCredentials) + "\r\n\r\n");
        EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 405")) << method;
    }
}

TEST(HttpServerTest, BodyIsBoundedAtItsLimit) {
    HttpServerOptions options = Options();
    options.max_body_bytes = 1000;
    const auto server = StartServer(options);
    Client at(server->port());
    at.Post(std::string(1000, 'x'));
    EXPECT_EQ(at.Read().body().size(), 1002u);
    Client over(server->port());
    over.Post(std::string(1001, 'x'));
    EXPECT_EQ(over.Read().result_int(), 413u);
    Client chunked(server->port());
    chunked.Send("POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + Base64Encode(kCredentials) +
                 "\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x') + "\r\n0\r\n\r\n");
    EXPECT_EQ(chunked.Read().result_int(), 413u);
}

TEST(HttpServerTest, HeaderIsBounded) {
    const auto server = StartServer();
    Client fits(server->port());
    fits.Post("x", "X-Fill: " + std::string(15'000, 'x') + "\r\n");
    EXPECT_EQ(fits.Read().result_int(), 200u);
    Client over(server->port());
    over.Post("x", "X-Fill: " + std::string(17'000, 'x') + "\r\n");
    EXPECT_EQ(over.Read().result_int(), 431u);
}

TEST(HttpServerTest, WhatIsNotHttpIsRefused) {
    const auto server = StartServer();
    Client client(server->port());
    client.Send("\x16\x03\x01 hello\r\n\r\n");
    EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 400"));
}

TEST(HttpServerTest, ContinuesAClientThatAsksFirst) {
    const auto server = StartServer();
    Client client(server->port());
    client.Send("POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + Base64Encode(kCredentials) +
                "\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 4\r\n\r\n");
    EXPECT_EQ(client.Read().result_int(), 100u);
    client.Send("body");
    EXPECT_EQ(client.Read().body(), "/:body");
}

TEST(HttpServerTest, ClosesAnIdleConnection) {
    HttpServerOptions options = Options();
    options.idle_timeout = milliseconds(50);
    const auto server = StartServer(options);
    Client silent(server->port());
    EXPECT_TRUE(silent.IsClosed());
    Client halfway(server->port());
    halfway.Send("POST / HTTP/1.1\r\n");
    EXPECT_TRUE(halfway.IsClosed());
}

TEST(HttpServerTest, ConnectionsAreBounded) {
    HttpServerOptions options = Options();
    options.max_connections = 2;
    const auto server = StartServer(options);
    Client first(server->port()), second(server->port());
    first.Post("a");
    first.Read();
    second.Post("b");
    second.Read();
    Client third(server->port());
    EXPECT_THAT(third.ReadAll(), StartsWith("HTTP/1.1 503"));
    first.Post("still");
    EXPECT_EQ(first.Read().body(), "/:still");
}

TEST(HttpServerTest, QueueIsBoundedAndTheConnectionStays) {
    HttpServerOptions options = Options();
    options.threads = 1;
    options.queue_depth = 1;
    Gate gate;
    const auto server = StartServer(options, [&](const HttpRequest& request) {
        if (request.body == "block") gate.Enter();
        return Echo(request);
    });
    Client working(server->port()), queued(server->port()), refused(server->port());
    working.Post("block");
    gate.AwaitInside(1);
    queued.Post("block");
    refused.Post("block");
    Client* answered_first = nullptr;
    {
        // Whichever of the two came second gets 503 while the handler still waits.
        std::mutex mutex;
        std::condition_variable changed;
        int refusals = 0;
        const auto read = [&](Client& client) {
            const auto answer = client.Read();
            const std::lock_guard lock(mutex);
            if (answer.result_int() == 503) {
                ++refusals;
                answered_first = &client;
                changed.notify_all();
            }
        };
        std::thread a([&] { read(queued); }), b([&] { read(refused); });
        {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return refusals == 1; });
        }
        gate.Open();
        a.join();
        b.join();
        EXPECT_EQ(refusals, 1);
    }
    EXPECT_EQ(working.Read().result_int(), 200u);
    ASSERT_NE(answered_first, nullptr);
    answered_first->Post("again");
    EXPECT_EQ(answered_first->Read().body(), "/:again");
}

TEST(HttpServerTest, RequestsThatWaitDoNotHoldOrdinaryOnesUp) {
    HttpServerOptions options = Options();
    options.threads = 1;
    options.waiting_threads = 3;
    Gate gate;
    const auto server = StartServer(
        options,
        [&](const HttpRequest& request) {
            if (request.body == "wait") gate.Enter();
            return Echo(request);
        },
        [](const HttpRequest& request) { return request.body == "wait"; });
    std::vector<std::unique_ptr<Client>> waiting;
    for (int i = 0; i < 3; ++i) {
        waiting.push_back(std::make_unique<Client>(server->port()));
        waiting.back()->Post("wait");
    }
    gate.AwaitInside(3);
    Client ordinary(server->port());
    ordinary.Post("now");
    EXPECT_EQ(ordinary.Read().body(), "/:now");
    Client one_more(server->port());
    one_more.Post("wait");
    EXPECT_EQ(one_more.Read().result_int(), 503u);
    gate.Open();
    for (const auto& client : waiting) EXPECT_EQ(client->Read().result_int(), 200u);
}

TEST(HttpServerTest, StopSendsTheAnswersOfRunningHandlers) {
    Gate gate;
    const auto server = StartServer(Options(), [&](const HttpRequest& request) {
        gate.Enter();
        return Echo(request);
    });
    Client idle(server->port()), working(server->port());
    working.Post("stop");
    gate.AwaitInside(1);
    std::thread stopper([&] { server->Stop(); });
    EXPECT_TRUE(idle.IsClosed());
    gate.Open();
    EXPECT_EQ(working.Read().body(), "/:stop");
    EXPECT_TRUE(working.IsClosed());
    stopper.join();
    server->Stop();
}

TEST(HttpServerTest, AClientThatLeavesDoesNotHarmItsHandler) {
    Gate gate;
    const auto server = StartServer(Options(), [&](const HttpRequest& request) {
        gate.Enter();
        return Echo(request);
    });
    {
        Client leaving(server->port());
        leaving.Post("x");
        gate.AwaitInside(1);
    }
    gate.Open();
    Client next(server->port());
    next.Post("y");
    EXPECT_EQ(next.Read().body(), "/:y");
}

TEST(HttpServerTest, AFaultInTheHandlerIsAnswered) {
    const auto server =
        StartServer(Options(), [](const HttpRequest&) -> HttpAnswer { throw std::runtime_error("broken"); });
    Client client(server->port());
    client.Post("x");
    EXPECT_EQ(client.Read().result_int(), 500u);
}

TEST(HttpServerTest, ATakenPortIsOneClearError) {
    const auto first = StartServer();
    HttpServerOptions options = Options();
    options.port = first->port();
    const auto second = HttpServer::Start(options, Echo, NeverWaits);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::kEnvironment);
    EXPECT_THAT(second.error().message, HasSubstr(std::to_string(first->port())));
    EXPECT_THAT(second.error().message, HasSubstr("-rpcport"));
}

TEST(HttpServerTest, ListensOnLoopbackOnly) {
    for (const char* address : {"0.0.0.0", "::", "8.8.8.8", "localhost", ""}) {
        HttpServerOptions options = Options();
        options.address = address;
        EXPECT_FALSE(HttpServer::Start(options, Echo, NeverWaits)) << address;
    }
}

TEST(WorkPoolTest, RunsEveryTaskThatItTook) {
    std::atomic<int> ran{0};
    {
        WorkPool pool(2, 100);
        for (int i = 0; i < 50; ++i) ASSERT_TRUE(pool.Post([&] { ++ran; }));
    }
    EXPECT_EQ(ran, 50);
}

TEST(WorkPoolTest, TakesThreadsPlusQueueAndNoMore) {
    Gate gate;
    WorkPool pool(2, 1);
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(pool.Post([&] { gate.Enter(); }));
    gate.AwaitInside(2);
    EXPECT_TRUE(pool.Post([] {}));
    EXPECT_FALSE(pool.Post([] {}));
    gate.Open();
    pool.Stop();
    EXPECT_FALSE(pool.Post([] {}));
}

}  // namespace
}  // namespace sluice::rpc
