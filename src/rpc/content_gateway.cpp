#include "rpc/content_gateway.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <ctime>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <unordered_set>

#include "crypto/hash.h"
#include "rpc/content_url.h"
#include "rpc/cookie.h"
#include "rpc/http_range.h"
#include "util/check.h"
#include "util/log.h"

namespace sluice::rpc {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr size_t kReadBytes = 4'096;
constexpr size_t kPieceBytes = content::kSliceBytes;
constexpr size_t kMaxRefusedConnections = 16;  // told 503 at once; the rest is closed without a word
constexpr size_t kListingPage = 10'000;
constexpr seconds kLingerTime{2};
constexpr milliseconds kAcceptRetry{100};
// No script, no form, nothing from elsewhere: a published document must not act for whoever looks at it.
constexpr std::string_view kSandbox =
    "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self' data:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'";

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

// What a client sees of an error: one without the key is told to pay, one that waited too long that it was in vain.
int StatusOf(const Error& error) {
    switch (error.kind) {
        case ErrorKind::kNotFound:
            return 404;
        case ErrorKind::kFunds:
        case ErrorKind::kNoKey:
            return 402;
        case ErrorKind::kUnavailable:
            return 503;
        case ErrorKind::kTimeout:
            return 504;
        case ErrorKind::kInvalid:
            return 502;  // what was published, not the request, is wrong
        case ErrorKind::kEnvironment:
            return 500;
    }
    return 500;
}

struct Header {
    int status{200};
    std::string fields;  // each with its CRLF

    Header& Set(std::string_view name, std::string_view value) {
        fields += fmt::format("{}: {}\r\n", name, value);
        return *this;
    }
};

// What is written one after the other: text, then bytes of the stream.
struct Piece {
    std::string text;
    uint64_t first{0};
    uint64_t length{0};
};

// What outlives the gateway, for answers that come after its end.
struct Io {
    asio::io_context context{1};
};

}  // namespace

std::string EntityTag(const ContentId& content, const std::string& path, uint64_t size_bytes) {
    Writer writer;
    writer(content);
    writer.Integer(size_bytes);
    writer.Raw(AsBytes(path));
    return "\"" + HexEncode(ByteSpan(crypto::TaggedHash("sluice/etag", writer.bytes()).bytes).first(16)) + "\"";
}

class ContentGateway::Impl {
  public:
    Impl(GatewayOptions options, node::ContentStreams& streams, node::ContentTokens& tokens, RandomSource& random)
        : m_options(std::move(options)), m_streams(streams), m_tokens(tokens), m_random(random) {}
    ~Impl() { Stop(); }

    Status Listen();
    void Run();
    void Stop();
    uint16_t port() const { return m_port; }

  private:
    class Session;

    void Accept();
    void OnAccept(const ErrorCode& error, tcp::socket socket);
    bool IsOurHost(std::string_view host) const;

    const GatewayOptions m_options;
    node::ContentStreams& m_streams;
    node::ContentTokens& m_tokens;
    RandomSource& m_random;
    std::shared_ptr<Io> m_io = std::make_shared<Io>();
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> m_guard{m_io->context.get_executor()};
    tcp::acceptor m_acceptor{m_io->context};
    asio::steady_timer m_accept_timer{m_io->context};
    uint16_t m_port{0};
    std::string m_boundary;
    // Of the thread:
    std::unordered_set<std::shared_ptr<Session>> m_sessions;
    bool m_stopping{false};
    std::thread m_thread;
};

// One connection: reading → answering → reading … → lingering → closed. Something is always being read, so that a
// client that leaves is noticed while its answer waits; what it sends early is kept up to the size of one header.
class ContentGateway::Impl::Session : public std::enable_shared_from_this<Session> {
  public:
    Session(Impl& gateway, tcp::socket socket)
        : m_gateway(gateway),
          m_socket(std::move(socket)),
          m_timer(m_gateway.m_io->context),
          m_in(gateway.m_options.max_header_bytes + kReadBytes) {}

    void Start() {
        AwaitRequest();
        ReadMore();
    }
    void Refuse(int status, const std::string& text);
    void Close();

  private:
    enum class State { kReading, kAnswering, kLingering, kClosed };

    void AwaitRequest();
    void ReadMore();
    void OnRead(const ErrorCode& error, size_t bytes);
    void ParseRequest();
    void HandleRequest();
    std::optional<node::FetchLimits> Authorise(const ContentTarget& target);
    void OpenStream(const ContentTarget& target, const node::FetchLimits& limits);
    void OnOpened(const Result<node::StreamInfo>& opened);
    void AnswerFile();
    void AnswerListing(const node::StreamInfo& info);
    void AnswerRanges(const RangeAnswer& answer, Header header);
    void AnswerText(int status, const std::string& text, Header header = {});
    void AnswerError(const Error& error) { AnswerText(StatusOf(error), error.message); }
    std::string Head(const Header& header, std::optional<uint64_t> length);
    void Pump();
    void OnData(Result<Bytes> data);
    void Write(std::string text, Bytes bytes);
    void OnWritten(const ErrorCode& error);
    void FinishAnswer();
    void CloseStream();
    void SetTimer(milliseconds time);
    std::string_view Field(http::field field) const { return View(m_parser->get()[field]); }

    Impl& m_gateway;
    tcp::socket m_socket;
    asio::steady_timer m_timer;
    uint64_t m_timer_number{0};
    beast::flat_buffer m_in;
    std::optional<http::request_parser<http::empty_body>> m_parser;
    State m_state{State::kReading};
    bool m_reading{false};
    // Of the answer:
    bool m_keep_alive{false};
    bool m_is_head{false};
    bool m_head_sent{false};
    std::string m_path;
    std::string m_after;
    node::StreamInfo m_info;
    std::string m_head;  // waits for the first byte
    std::deque<Piece> m_pieces;
    std::string m_out_text;
    Bytes m_out_bytes;
};

void ContentGateway::Impl::Session::SetTimer(milliseconds time) {
    const uint64_t number = ++m_timer_number;
    m_timer.expires_after(time);
    m_timer.async_wait([self = shared_from_this(), number](const ErrorCode& error) {
        if (!error && number == self->m_timer_number) self->Close();
    });
}

void ContentGateway::Impl::Session::AwaitRequest() {
    m_state = State::kReading;
    m_parser.emplace();
    m_parser->header_limit(static_cast<uint32_t>(m_gateway.m_options.max_header_bytes));
    m_parser->body_limit(0);
    m_parser->eager(false);
    m_head_sent = false;
    SetTimer(m_gateway.m_options.idle_timeout);
}

void ContentGateway::Impl::Session::ReadMore() {
    if (m_reading || m_state == State::kClosed) return;
    if (m_in.size() + kReadBytes > m_in.max_size()) {
        if (m_state != State::kLingering) return;  // goes on once the requests in it are answered
        m_in.consume(m_in.size());
    }
    m_reading = true;
    m_socket.async_read_some(
        m_in.prepare(kReadBytes),
        [self = shared_from_this()](const ErrorCode& error, size_t bytes) { self->OnRead(error, bytes); });
}

void ContentGateway::Impl::Session::OnRead(const ErrorCode& error, size_t bytes) {
    m_reading = false;
    if (m_state == State::kClosed) return;
    if (error) return Close();
    m_in.commit(bytes);
    if (m_state == State::kReading) ParseRequest();
    ReadMore();
}

void ContentGateway::Impl::Session::ParseRequest() {
    while (m_in.size() > 0) {
        ErrorCode error;
        const size_t used = m_parser->put(m_in.data(), error);
        m_in.consume(used);
        if (error == http::error::need_more) {
            if (m_in.size() >= m_gateway.m_options.max_header_bytes)
                return Refuse(431, fmt::format("the header is over {} bytes", m_gateway.m_options.max_header_bytes));
            return;
        }
        if (error == http::error::header_limit || error == http::error::buffer_overflow)
            return Refuse(431, fmt::format("the header is over {} bytes", m_gateway.m_options.max_header_bytes));
        if (error == http::error::body_limit) return Refuse(413, "a request for content has no body");
        if (error) return Refuse(400, "not an HTTP/1.1 request");
        if (m_parser->is_header_done()) return HandleRequest();
    }
}

void ContentGateway::Impl::Session::HandleRequest() {
    m_state = State::kAnswering;
    m_timer.cancel();
    ++m_timer_number;
    const auto& request = m_parser->get();
    m_keep_alive = request.keep_alive();
    m_is_head = request.method() == http::verb::head;
    if (m_parser->chunked() || m_parser->content_length().value_or(0) > 0)
        return Refuse(413, "a request for content has no body");
    if (request.count(http::field::host) != 1) return Refuse(400, "a request names one host");
    std::string_view host = Field(http::field::host), path = View(request.target());
    // The absolute form, whose host stands in for the field's (RFC 9112 3.2.2).
    constexpr std::string_view kScheme = "http://";
    if (beast::iequals(request.target().substr(0, kScheme.size()),
                       beast::string_view(kScheme.data(), kScheme.size()))) {
        path.remove_prefix(kScheme.size());
        const size_t slash = std::min(path.find('/'), path.size());
        host = path.substr(0, slash);
        path.remove_prefix(slash);
    }
    if (!m_gateway.IsOurHost(host))
        return AnswerText(421, fmt::format("ask for http://127.0.0.1:{}/", m_gateway.m_port));
    if (!m_is_head && request.method() != http::verb::get) {
        Header header;
        header.Set("Allow", "GET, HEAD");
        return AnswerText(405, "only GET and HEAD are answered", std::move(header));
    }
    const auto target = ParseContentTarget(path);
    if (!target) return AnswerText(404, target.error().message);
    if (const auto limits = Authorise(*target)) OpenStream(*target, *limits);
}

// The limits that go with the right; nothing if it was refused, which is answered then.
std::optional<node::FetchLimits> ContentGateway::Impl::Session::Authorise(const ContentTarget& target) {
    if (!target.token.empty()) {
        const auto claim = ClaimId::FromHex(target.claim);
        auto limits = claim ? m_gateway.m_tokens.Find(target.token, *claim) : std::nullopt;
        if (!limits)
            AnswerText(403, "this URL is good for another claim, or no longer: make one with 'sluice-cli url CLAIM'");
        return limits;
    }
    if (!IsAuthorised(Field(http::field::authorization), m_gateway.m_options.credentials)) {
        Header header;
        header.Set("WWW-Authenticate", "Basic realm=\"sluice\", charset=\"UTF-8\"");
        AnswerText(401, "make a URL with 'sluice-cli url CLAIM', or give the credentials of the file .cookie",
                   std::move(header));
        return std::nullopt;
    }
    // A browser adds the credentials it knows to whatever a page of somebody else asks for.
    const auto site = View(m_parser->get()["Sec-Fetch-Site"]);
    if (!site.empty() && site != "none" && site != "same-origin") {
        AnswerText(403, "a page of another origin may not use the cookie's credentials");
        return std::nullopt;
    }
    return node::FetchLimits{};
}

void ContentGateway::Impl::Session::OpenStream(const ContentTarget& target, const node::FetchLimits& limits) {
    m_path = target.path;
    m_after = target.after;
    node::StreamRequest request{target.claim, target.path, limits, m_gateway.m_options.read_timeout};
    m_gateway.m_streams.Open(
        request, [io = m_gateway.m_io, weak = weak_from_this(), &streams = m_gateway.m_streams](auto opened) {
            asio::post(io->context, [weak, &streams, opened = std::move(opened)]() mutable {
                const auto self = weak.lock();
                if (self && self->m_state != State::kClosed) return self->OnOpened(opened);
                if (opened && opened->id != 0) streams.Close(opened->id);
            });
        });
}

void ContentGateway::Impl::Session::OnOpened(const Result<node::StreamInfo>& opened) {
    if (!opened) return AnswerError(opened.error());
    if (opened->folder) return AnswerListing(*opened);
    m_info = *opened;
    AnswerFile();
}

void ContentGateway::Impl::Session::AnswerFile() {
    const std::string etag = EntityTag(m_info.content, m_info.path, m_info.size_bytes);
    const std::string type = MediaTypeFor(m_info.mime, m_info.name);
    Header header;
    header.Set("ETag", etag).Set("Accept-Ranges", "bytes").Set("Cache-Control", "private, no-cache");
    const auto& request = m_parser->get();
    if (request.count(http::field::if_match) > 0 && !MatchesIfMatch(Field(http::field::if_match), etag))
        return AnswerText(412, "the content is another one now", std::move(header));
    if (request.count(http::field::if_none_match) > 0 && MatchesIfNoneMatch(Field(http::field::if_none_match), etag)) {
        header.status = 304;
        m_head = Head(header, std::nullopt);
        return Pump();
    }
    header.Set("Content-Disposition", InlineDisposition(m_info.name));
    if (IsActiveDocument(type)) header.Set("Content-Security-Policy", kSandbox);
    // Only GET has ranges (RFC 9110 14.2).
    RangeAnswer answer;
    const bool has_range =
        !m_is_head && request.count(http::field::range) == 1 &&
        (request.count(http::field::if_range) == 0 || MatchesIfRange(Field(http::field::if_range), etag));
    if (has_range) answer = ParseRange(Field(http::field::range), m_info.size_bytes);
    if (answer.kind == RangeAnswer::Kind::kUnsatisfiable) {
        header.Set("Content-Range", fmt::format("bytes */{}", m_info.size_bytes));
        return AnswerText(416,
                          fmt::format("no such range of {} bytes; at most {} ranges, which do not overlap",
                                      m_info.size_bytes, kMaxRanges),
                          std::move(header));
    }
    if (answer.kind == RangeAnswer::Kind::kPartial) return AnswerRanges(answer, std::move(header));
    header.Set("Content-Type", type);
    m_head = Head(header, m_info.size_bytes);
    if (!m_is_head && m_info.size_bytes > 0) m_pieces.push_back({"", 0, m_info.size_bytes});
    Pump();
}

void ContentGateway::Impl::Session::AnswerRanges(const RangeAnswer& answer, Header header) {
    header.status = 206;
    const std::string type = MediaTypeFor(m_info.mime, m_info.name);
    const auto range_text = [&](const ByteRange& range) {
        return fmt::format("bytes {}-{}/{}", range.first, range.end() - 1, m_info.size_bytes);
    };
    uint64_t length = 0;
    if (answer.ranges.size() == 1) {
        const ByteRange& range = answer.ranges.front();
        header.Set("Content-Type", type).Set("Content-Range", range_text(range));
        m_pieces.push_back({"", range.first, range.length});
        length = range.length;
    } else {
        const std::string& boundary = m_gateway.m_boundary;
        header.Set("Content-Type", "multipart/byteranges; boundary=" + boundary);
        for (const ByteRange& range : answer.ranges) {
            m_pieces.push_back({fmt::format("{}--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n",
                                            m_pieces.empty() ? "" : "\r\n", boundary, type, range_text(range)),
                                range.first, range.length});
        }
        m_pieces.push_back({fmt::format("\r\n--{}--\r\n", boundary), 0, 0});
        for (const Piece& piece : m_pieces) length += piece.text.size() + piece.length;
    }
    m_head = Head(header, length);
    Pump();
}

void ContentGateway::Impl::Session::AnswerListing(const node::StreamInfo& info) {
    nlohmann::json files = nlohmann::json::array();
    const std::string& prefix = m_path;
    // A folder that is sold in segments has its files in their order, and a publisher may give any.
    std::vector<const content::ManifestEntry*> entries;
    for (const content::ManifestEntry& entry : info.folder->entries)
        if (entry.path > m_after && entry.path.starts_with(prefix)) entries.push_back(&entry);
    std::sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) { return a->path < b->path; });
    const bool more = entries.size() > kListingPage;
    entries.resize(std::min(entries.size(), kListingPage));
    for (const content::ManifestEntry* entry : entries)
        files.push_back({{"path", entry->path}, {"size", entry->size_bytes}, {"type", MediaTypeOf(entry->path)}});
    if (files.empty() && !prefix.empty() && m_after.empty())
        return AnswerText(404, "there is no folder '" + prefix + "' in this claim");
    const nlohmann::json listing{{"claim", info.claim.Hex()}, {"title", info.title}, {"files", files}, {"more", more}};
    Header header;
    header.Set("Content-Type", "application/json").Set("Cache-Control", "private, no-cache");
    const std::string body = listing.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    m_head = Head(header, body.size());
    if (!m_is_head) m_pieces.push_back({body, 0, 0});
    Pump();
}

void ContentGateway::Impl::Session::AnswerText(int status, const std::string& text, Header header) {
    header.status = status;
    header.Set("Content-Type", "text/plain; charset=utf-8").Set("Cache-Control", "no-store");
    if (status == 503) header.Set("Retry-After", "5");
    m_head = Head(header, text.size() + 1);
    m_pieces.clear();
    if (!m_is_head) m_pieces.push_back({text + "\n", 0, 0});
    CloseStream();
    Pump();
}

// Ends the connection with it: what follows on it is not known to be a request.
void ContentGateway::Impl::Session::Refuse(int status, const std::string& text) {
    m_state = State::kAnswering;
    m_keep_alive = m_is_head = false;
    AnswerText(status, text);
}

std::string ContentGateway::Impl::Session::Head(const Header& header, std::optional<uint64_t> length) {
    const std::time_t now = std::time(nullptr);
    std::string head = fmt::format("HTTP/1.1 {} {}\r\nDate: {:%a, %d %b %Y %H:%M:%S} GMT\r\n{}", header.status,
                                   View(http::obsolete_reason(static_cast<http::status>(header.status))),
                                   fmt::gmtime(now), header.fields);
    if (length) head += fmt::format("Content-Length: {}\r\n", *length);
    head += "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n";
    head += m_keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    return head;
}

// Writes what can be written; asks the stream for what comes next.
void ContentGateway::Impl::Session::Pump() {
    std::string text = std::move(m_out_text);
    m_out_text.clear();
    while (!m_pieces.empty() && m_pieces.front().length == 0) {
        text += m_pieces.front().text;
        m_pieces.pop_front();
    }
    if (m_pieces.empty()) {
        if (!m_head.empty()) text = std::exchange(m_head, {}) + text;
        if (text.empty()) return FinishAnswer();
        return Write(std::move(text), {});
    }
    Piece& piece = m_pieces.front();
    m_out_text = std::move(text) + std::exchange(piece.text, {});
    const uint64_t until = piece.first + piece.length;
    m_gateway.m_streams.Read(m_info.id, piece.first, static_cast<size_t>(std::min<uint64_t>(piece.length, kPieceBytes)),
                             until, [io = m_gateway.m_io, weak = weak_from_this()](Result<Bytes> data) {
                                 asio::post(io->context, [weak, data = std::move(data)]() mutable {
                                     const auto self = weak.lock();
                                     if (self && self->m_state == State::kAnswering) self->OnData(std::move(data));
                                 });
                             });
}

void ContentGateway::Impl::Session::OnData(Result<Bytes> data) {
    if (!data) {
        LogInfo("gateway", "a stream ended: {}", data.error().message);
        m_out_text.clear();
        if (!m_head.empty()) return AnswerError(data.error());
        return Close();  // the client sees that the answer is shorter than announced
    }
    Piece& piece = m_pieces.front();
    CHECK(!data->empty() && data->size() <= piece.length);
    piece.first += data->size();
    piece.length -= data->size();
    Write(std::exchange(m_head, {}) + std::exchange(m_out_text, {}), std::move(*data));
}

void ContentGateway::Impl::Session::Write(std::string text, Bytes bytes) {
    m_out_text = std::move(text);
    m_out_bytes = std::move(bytes);
    SetTimer(m_gateway.m_options.stall_timeout);
    const std::array<asio::const_buffer, 2> buffers{asio::buffer(m_out_text), asio::buffer(m_out_bytes)};
    asio::async_write(m_socket, buffers,
                      [self = shared_from_this()](const ErrorCode& error, size_t) { self->OnWritten(error); });
}

void ContentGateway::Impl::Session::OnWritten(const ErrorCode& error) {
    if (m_state == State::kClosed) return;
    if (error) return Close();
    m_timer.cancel();
    ++m_timer_number;
    m_out_text.clear();
    m_out_bytes.clear();
    Pump();
}

void ContentGateway::Impl::Session::FinishAnswer() {
    CloseStream();
    if (m_keep_alive) {
        AwaitRequest();
        ParseRequest();
        return ReadMore();
    }
    // Rationale: closing over unread bytes resets the connection, and the client may never see the answer.
    ErrorCode ignored;
    m_socket.shutdown(tcp::socket::shutdown_send, ignored);
    m_state = State::kLingering;
    SetTimer(kLingerTime);
    ReadMore();
}

void ContentGateway::Impl::Session::CloseStream() {
    if (m_info.id != 0) m_gateway.m_streams.Close(m_info.id);
    m_info = {};
}

void ContentGateway::Impl::Session::Close() {
    if (m_state == State::kClosed) return;
    m_state = State::kClosed;
    CloseStream();
    m_timer.cancel();
    ErrorCode ignored;
    m_socket.close(ignored);
    m_gateway.m_sessions.erase(shared_from_this());
}

bool ContentGateway::Impl::IsOurHost(std::string_view host) const {
    for (const std::string_view name : {"127.0.0.1", "localhost", "[::1]"})
        if (beast::iequals(beast::string_view(host.data(), host.size()), fmt::format("{}:{}", name, m_port)))
            return true;
    return false;
}

Status ContentGateway::Impl::Listen() {
    ErrorCode error;
    const auto address = asio::ip::make_address(m_options.address, error);
    if (error || !address.is_loopback())
        return Fail(fmt::format("the content gateway listens on loopback alone, not on '{}': give 127.0.0.1",
                                m_options.address));
    const tcp::endpoint endpoint(address, m_options.port);
    m_acceptor.open(endpoint.protocol(), error);
    if (!error) m_acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) m_acceptor.bind(endpoint, error);
    if (!error) m_acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
        const bool taken = error == asio::error::address_in_use;
        return Fail(ErrorKind::kEnvironment,
                    fmt::format("cannot listen for the content gateway on {}:{}: {}{}", m_options.address,
                                m_options.port, error.message(),
                                taken ? ": stop the program that has this port or give another -gatewayport" : ""));
    }
    m_port = m_acceptor.local_endpoint().port();
    m_boundary = "sluice-" + HexEncode(m_random.Array<16>());
    return {};
}

void ContentGateway::Impl::Run() {
    Accept();
    m_tokens.SetPort(m_port);
    m_thread = std::thread([io = m_io] { io->context.run(); });
}

void ContentGateway::Impl::Accept() {
    m_acceptor.async_accept([this](const ErrorCode& error, tcp::socket socket) { OnAccept(error, std::move(socket)); });
}

void ContentGateway::Impl::OnAccept(const ErrorCode& error, tcp::socket socket) {
    if (m_stopping || error == asio::error::operation_aborted) return;
    if (error) {
        LogWarning("gateway", "cannot accept a connection: {}", error.message());
        m_accept_timer.expires_after(kAcceptRetry);
        m_accept_timer.async_wait([this](const ErrorCode& stopped) {
            if (!stopped && !m_stopping) Accept();
        });
        return;
    }
    ErrorCode ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    const size_t connections = m_sessions.size();
    if (connections < m_options.max_connections + kMaxRefusedConnections) {
        const auto session = std::make_shared<Session>(*this, std::move(socket));
        m_sessions.insert(session);
        if (connections < m_options.max_connections)
            session->Start();
        else
            session->Refuse(503, fmt::format("{} connections are open: close some", m_options.max_connections));
    }
    Accept();
}

void ContentGateway::Impl::Stop() {
    if (!m_thread.joinable()) return;
    m_tokens.SetPort(0);
    asio::post(m_io->context, [this] {
        m_stopping = true;
        ErrorCode ignored;
        m_acceptor.close(ignored);
        m_accept_timer.cancel();
        for (const auto& session : std::unordered_set(m_sessions)) session->Close();
        m_io->context.stop();
    });
    m_thread.join();
}

ContentGateway::ContentGateway(std::unique_ptr<Impl> impl) : m_impl(std::move(impl)) {}
ContentGateway::~ContentGateway() = default;

Result<std::unique_ptr<ContentGateway>> ContentGateway::Start(GatewayOptions options, node::ContentStreams& streams,
                                                              node::ContentTokens& tokens, RandomSource& random) {
    CHECK(!options.credentials.empty() && options.max_connections > 0);
    auto impl = std::make_unique<Impl>(std::move(options), streams, tokens, random);
    RETURN_IF_ERROR(impl->Listen());
    impl->Run();
    return std::unique_ptr<ContentGateway>(new ContentGateway(std::move(impl)));
}

uint16_t ContentGateway::port() const { return m_impl->port(); }
void ContentGateway::Stop() { m_impl->Stop(); }

}  // namespace sluice::rpc
