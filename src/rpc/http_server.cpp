#include "rpc/http_server.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <future>
#include <optional>
#include <unordered_set>

#include "rpc/cookie.h"
#include "rpc/work_pool.h"
#include "util/check.h"
#include "util/log.h"

namespace sluice::rpc {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr size_t kReadAheadBytes = 64 << 10;
constexpr size_t kMaxRefusedConnections =
    16;  // told 503 at once, beyond max_connections; the rest is closed without a word
constexpr size_t kMaxLingerBytes = 8 << 20;
constexpr seconds kLingerTime{2};
constexpr seconds kStopWriteTime{2};
constexpr milliseconds kAcceptRetry{100};

bool IsHttpError(const ErrorCode& error) {
    return error.category() == http::make_error_code(http::error::end_of_stream).category();
}

}  // namespace

class HttpServer::Impl {
  public:
    Impl(HttpServerOptions options, Handler handler, WaitsRule waits)
        : m_options(std::move(options)),
          m_handler(std::move(handler)),
          m_waits(std::move(waits)),
          m_acceptor(m_io),
          m_accept_timer(m_io),
          m_workers(m_options.threads, m_options.queue_depth),
          m_waiters(m_options.waiting_threads, 0) {}
    ~Impl() { Stop(); }

    Status Listen();
    void Run();
    void Stop();
    uint16_t port() const { return m_port; }

  private:
    class Session;

    void Accept();
    void OnAccept(const ErrorCode& error, tcp::socket socket);
    HttpAnswer RunHandler(const HttpRequest& request) const;

    const HttpServerOptions m_options;
    const Handler m_handler;
    const WaitsRule m_waits;
    // Of the thread of input:
    std::unordered_set<Session*> m_sessions;
    bool m_stopping{false};

    asio::io_context m_io{1};
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> m_guard{m_io.get_executor()};
    tcp::acceptor m_acceptor;
    asio::steady_timer m_accept_timer;
    uint16_t m_port{0};
    WorkPool m_workers;
    WorkPool m_waiters;
    std::thread m_thread;
};

// One connection: reading → working → writing → reading … → lingering → closed. Lives on the thread of input as long as
// an operation or a task holds it.
class HttpServer::Impl::Session : public std::enable_shared_from_this<Session> {
  public:
    Session(Impl& server, tcp::socket socket)
        : m_server(server), m_stream(std::move(socket)), m_buffer(server.m_options.max_header_bytes + kReadAheadBytes) {
        m_server.m_sessions.insert(this);
    }
    ~Session() { m_server.m_sessions.erase(this); }

    void Read();
    void Refuse(int status, const std::string& text, http::field field = http::field::unknown,
                const std::string& value = {});
    void OnStop();

  private:
    enum class State { kReading, kWorking, kWriting, kLingering };

    void OnHeader(const ErrorCode& error);
    void ReadBody();
    void OnBody(const ErrorCode& error);
    void OnReadError(const ErrorCode& error);
    void Write(HttpAnswer answer);
    void Send();
    void OnWritten(const ErrorCode& error);
    void Linger();
    void Close();

    Impl& m_server;
    beast::tcp_stream m_stream;
    beast::flat_buffer m_buffer;
    std::optional<http::request_parser<http::string_body>> m_parser;
    http::response<http::string_body> m_response;
    State m_state{State::kReading};
    bool m_keep_alive{false};
    size_t m_lingered_bytes{0};
};

void HttpServer::Impl::Session::Read() {
    m_state = State::kReading;
    m_parser.emplace();
    m_parser->header_limit(static_cast<uint32_t>(m_server.m_options.max_header_bytes));
    m_parser->body_limit(m_server.m_options.max_body_bytes);
    m_stream.expires_after(m_server.m_options.idle_timeout);
    http::async_read_header(m_stream, m_buffer, *m_parser,
                            [self = shared_from_this()](const ErrorCode& error, size_t) { self->OnHeader(error); });
}

void HttpServer::Impl::Session::OnReadError(const ErrorCode& error) {
    if (m_server.m_stopping || error == http::error::end_of_stream || error == http::error::partial_message ||
        !IsHttpError(error))
        return Close();
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
        return Refuse(431, fmt::format("the header is over {} bytes", m_server.m_options.max_header_bytes));
    if (error == http::error::body_limit)
        return Refuse(413, fmt::format("the body is over {} bytes", m_server.m_options.max_body_bytes));
    Refuse(400, "not an HTTP/1.1 request");
}

void HttpServer::Impl::Session::OnHeader(const ErrorCode& error) {
    if (error || m_server.m_stopping) return OnReadError(error);
    const auto& request = m_parser->get();
    if (request.method() != http::verb::post)
        return Refuse(405, "only POST requests are answered", http::field::allow, "POST");
    const auto given = request[http::field::authorization];
    if (!IsAuthorised({given.data(), given.size()}, m_server.m_options.credentials))
        return Refuse(401, "give the credentials of the file .cookie in the chain's data folder",
                      http::field::www_authenticate, "Basic realm=\"jsonrpc\"");
    if (!beast::iequals(request[http::field::expect], "100-continue")) return ReadBody();
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(m_stream, asio::buffer(kContinue), [self = shared_from_this()](const ErrorCode& failed, size_t) {
        if (failed) return self->Close();
        self->ReadBody();
    });
}

void HttpServer::Impl::Session::ReadBody() {
    http::async_read(m_stream, m_buffer, *m_parser,
                     [self = shared_from_this()](const ErrorCode& error, size_t) { self->OnBody(error); });
}

void HttpServer::Impl::Session::OnBody(const ErrorCode& error) {
    if (error || m_server.m_stopping) return OnReadError(error);
    m_state = State::kWorking;
    m_stream.expires_never();
    auto message = m_parser->release();
    m_parser.reset();
    m_keep_alive = message.keep_alive();
    auto request = std::make_shared<HttpRequest>(HttpRequest{std::string(message.target()), std::move(message.body())});
    WorkPool& pool = m_server.m_waits(*request) ? m_server.m_waiters : m_server.m_workers;
    // The session returns to its own thread with the answer, so that it never ends on a worker's.
    const bool taken = pool.Post([self = shared_from_this(), request]() mutable {
        Impl& server = self->m_server;
        HttpAnswer answer = server.RunHandler(*request);
        asio::post(server.m_io,
                   [self = std::move(self), answer = std::move(answer)]() mutable { self->Write(std::move(answer)); });
    });
    if (!taken)
        Write({503,
               R"({"result":null,"error":{"code":-10,"message":"too many requests are in work: try again"},"id":null})"
               "\n"});
}

void HttpServer::Impl::Session::Write(HttpAnswer answer) {
    m_response = {};
    m_response.version(11);
    m_response.result(static_cast<unsigned>(answer.status));
    m_response.set(http::field::content_type, "application/json");
    m_response.body() = std::move(answer.body);
    Send();
}

void HttpServer::Impl::Session::Refuse(int status, const std::string& text, http::field field,
                                       const std::string& value) {
    m_parser.reset();
    m_keep_alive = false;
    m_response = {};
    m_response.version(11);
    m_response.result(static_cast<unsigned>(status));
    m_response.set(http::field::content_type, "text/plain");
    if (field != http::field::unknown) m_response.set(field, value);
    m_response.body() = text + "\n";
    Send();
}

void HttpServer::Impl::Session::Send() {
    m_state = State::kWriting;
    m_keep_alive = m_keep_alive && !m_server.m_stopping;
    m_response.keep_alive(m_keep_alive);
    m_response.prepare_payload();
    if (m_server.m_stopping)
        m_stream.expires_after(kStopWriteTime);
    else
        m_stream.expires_after(m_server.m_options.idle_timeout);
    http::async_write(m_stream, m_response,
                      [self = shared_from_this()](const ErrorCode& error, size_t) { self->OnWritten(error); });
}

void HttpServer::Impl::Session::OnWritten(const ErrorCode& error) {
    if (error) return Close();
    m_response = {};
    if (m_keep_alive && !m_server.m_stopping) return Read();
    ErrorCode ignored;
    m_stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    if (m_server.m_stopping) return Close();
    m_state = State::kLingering;
    m_stream.expires_after(kLingerTime);
    Linger();
}

// Reads and drops what the client still sends. Rationale: closing over unread bytes resets the connection, and the
// client may then never see why it was refused.
void HttpServer::Impl::Session::Linger() {
    m_buffer.consume(m_buffer.size());
    m_stream.async_read_some(m_buffer.prepare(4096), [self = shared_from_this()](const ErrorCode& error, size_t bytes) {
        self->m_lingered_bytes += bytes;
        if (error || self->m_server.m_stopping || self->m_lingered_bytes > kMaxLingerBytes) return self->Close();
        self->Linger();
    });
}

void HttpServer::Impl::Session::Close() { m_stream.close(); }

void HttpServer::Impl::Session::OnStop() {
    if (m_state == State::kReading || m_state == State::kLingering) Close();
}

Status HttpServer::Impl::Listen() {
    ErrorCode error;
    const auto address = asio::ip::make_address(m_options.address, error);
    if (error)
        return Fail(fmt::format("the RPC address '{}' is not a numeric address: give 127.0.0.1", m_options.address));
    if (!address.is_loopback())
        return Fail(fmt::format(
            "the RPC address {} is not of this machine's loopback, and RPC is not encrypted: give 127.0.0.1",
            m_options.address));
    const tcp::endpoint endpoint(address, m_options.port);
    m_acceptor.open(endpoint.protocol(), error);
    if (!error) m_acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) m_acceptor.bind(endpoint, error);
    if (!error) m_acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
        const bool taken = error == asio::error::address_in_use;
        return Fail(
            ErrorKind::kEnvironment,
            fmt::format(
                "cannot listen for RPC on {}:{}: {}{}", m_options.address, m_options.port, error.message(),
                taken ? ": stop the program that has this port (another sluiced?) or give another -rpcport" : ""));
    }
    m_port = m_acceptor.local_endpoint().port();
    return {};
}

void HttpServer::Impl::Run() {
    Accept();
    m_thread = std::thread([this] { m_io.run(); });
}

void HttpServer::Impl::Accept() {
    m_acceptor.async_accept([this](const ErrorCode& error, tcp::socket socket) { OnAccept(error, std::move(socket)); });
}

void HttpServer::Impl::OnAccept(const ErrorCode& error, tcp::socket socket) {
    if (m_stopping || error == asio::error::operation_aborted) return;
    if (error) {
        LogWarning("rpc", "cannot accept a connection: {}", error.message());
        m_accept_timer.expires_after(kAcceptRetry);
        m_accept_timer.async_wait([this](const ErrorCode& stopped) {
            if (!stopped && !m_stopping) Accept();
        });
        return;
    }
    ErrorCode ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    const size_t connections = m_sessions.size();
    if (connections < m_options.max_connections)
        std::make_shared<Session>(*this, std::move(socket))->Read();
    else if (connections < m_options.max_connections + kMaxRefusedConnections)
        std::make_shared<Session>(*this, std::move(socket))
            ->Refuse(503, fmt::format("{} connections are open: close some", m_options.max_connections));
    Accept();
}

HttpAnswer HttpServer::Impl::RunHandler(const HttpRequest& request) const {
    try {
        return m_handler(request);
    } catch (const std::exception& error) {
        LogError("rpc", "a handler failed: {}", error.what());
        return {500, R"({"result":null,"error":{"code":-1,"message":"internal error"},"id":null})"
                     "\n"};
    }
}

void HttpServer::Impl::Stop() {
    if (!m_thread.joinable()) return;
    std::promise<void> stopped;
    asio::post(m_io, [&] {
        m_stopping = true;
        ErrorCode ignored;
        m_acceptor.close(ignored);
        m_accept_timer.cancel();
        for (Session* session : m_sessions) session->OnStop();
        stopped.set_value();
    });
    stopped.get_future().wait();
    m_workers.Stop();
    m_waiters.Stop();
    m_guard.reset();
    m_thread.join();
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options, Handler handler, WaitsRule waits) {
    CHECK(!options.credentials.empty() && options.threads > 0 && options.waiting_threads > 0);
    auto impl = std::make_unique<Impl>(std::move(options), std::move(handler), std::move(waits));
    RETURN_IF_ERROR(impl->Listen());
    impl->Run();
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

uint16_t HttpServer::port() const { return m_impl->port(); }
void HttpServer::Stop() { m_impl->Stop(); }

}  // namespace sluice::rpc
