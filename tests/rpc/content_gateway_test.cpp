#include "rpc/content_gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <condition_variable>
#include <future>
#include <mutex>

#include "rpc/cookie.h"

namespace sluice::rpc {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kCredentials = "__cookie__:aa";
const std::string kClaim(64, '1');

// Streams without a node: files by path, answers at once unless they are held.
class FakeStreams final : public node::ContentStreams {
  public:
    std::map<std::string, std::string> files;
    std::map<std::string, Error> errors;  // of Open, by path
    std::string mime;
    std::shared_ptr<const content::Manifest> folder;

    void Open(const node::StreamRequest& request, OnOpened then) override {
        std::unique_lock lock(m_mutex);
        m_requests.push_back(request);
        if (const auto error = errors.find(request.path); error != errors.end()) return then(Fail(error->second));
        node::StreamInfo info;
        info.claim = *ClaimId::FromHex(kClaim);
        info.title = "A title";
        if (folder && (request.path.empty() || request.path.ends_with('/'))) {
            info.folder = folder;
            return then(std::move(info));
        }
        const auto file = files.find(request.path);
        if (file == files.end()) return then(Fail(ErrorKind::kNotFound, "there is no file of this name"));
        info.id = ++m_last;
        info.path = request.path;
        info.name = request.path.empty() ? "film.mp4" : request.path;
        info.mime = mime;
        info.size_bytes = file->second.size();
        m_open.emplace(info.id, request.path);
        then(std::move(info));
    }
    void Read(node::StreamId stream, uint64_t offset, size_t length, uint64_t until, OnRead then) override {
        std::unique_lock lock(m_mutex);
        m_bytes_asked += length;
        m_furthest = std::max(m_furthest, until);
        if (m_held) {
            m_waiting.emplace(stream, std::move(then));
            m_changed.notify_all();
            return;
        }
        if (m_read_error) return then(Fail(*m_read_error));
        const std::string& file = files.at(m_open.at(stream));
        // Short reads, as at the ends of slices.
        const std::string part = file.substr(offset, std::min<size_t>(length, 100'000));
        then(ToBytes(AsBytes(part)));
    }
    void Close(node::StreamId stream) override {
        const std::lock_guard lock(m_mutex);
        m_closed += m_open.erase(stream);
        m_waiting.erase(stream);
        m_changed.notify_all();
    }

    void Hold() {
        const std::lock_guard lock(m_mutex);
        m_held = true;
    }
    void FailReads(std::optional<Error> error) {
        const std::lock_guard lock(m_mutex);
        m_read_error = std::move(error);
    }
    // Answers what is held with an error.
    void FailHeld(const Error& error) {
        std::map<node::StreamId, OnRead> waiting;
        {
            const std::lock_guard lock(m_mutex);
            m_held = false;
            waiting.swap(m_waiting);
        }
        for (auto& [id, then] : waiting) then(Fail(error));
    }
    void AwaitWaiting() {
        std::unique_lock lock(m_mutex);
        m_changed.wait(lock, [this] { return !m_waiting.empty(); });
    }
    // Until so many streams were opened and closed, and none is open.
    void AwaitClosed(size_t count) {
        std::unique_lock lock(m_mutex);
        m_changed.wait(lock, [&] { return m_closed >= count && m_open.empty(); });
    }
    size_t bytes_asked() const {
        const std::lock_guard lock(m_mutex);
        return m_bytes_asked;
    }
    uint64_t furthest() const {
        const std::lock_guard lock(m_mutex);
        return m_furthest;
    }
    node::StreamRequest last_request() const {
        const std::lock_guard lock(m_mutex);
        return m_requests.back();
    }
    size_t requests() const {
        const std::lock_guard lock(m_mutex);
        return m_requests.size();
    }

  private:
    mutable std::mutex m_mutex;
    std::condition_variable m_changed;
    std::map<node::StreamId, std::string> m_open;
    std::map<node::StreamId, OnRead> m_waiting;
    std::vector<node::StreamRequest> m_requests;
    std::optional<Error> m_read_error;
    node::StreamId m_last{0};
    size_t m_closed{0};
    size_t m_bytes_asked{0};
    uint64_t m_furthest{0};
    bool m_held{false};
};

class Client {
  public:
    explicit Client(uint16_t port) : m_port(port), m_socket(m_io) {
        m_socket.connect({asio::ip::address_v4::loopback(), port});
    }
    void Send(const std::string& bytes) {
        boost::system::error_code ignored;  // a server that refuses may close before it has read all
        asio::write(m_socket, asio::buffer(bytes), ignored);
    }
    std::string Request(const std::string& target, const std::string& extra, const std::string& method = "GET") const {
        return method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(m_port) + "\r\n" + extra +
               "\r\n";
    }
    http::response<http::string_body> Read(bool is_head = false) {
        http::response_parser<http::string_body> parser;
        parser.skip(is_head);
        parser.body_limit(boost::none);
        http::read(m_socket, m_buffer, parser);
        return parser.release();
    }
    std::string ReadAll() {
        std::string bytes;
        boost::system::error_code error;
        asio::read(m_socket, asio::dynamic_buffer(bytes), error);
        return bytes;
    }
    std::string ReadSome() {
        std::string bytes(1'000, '\0');
        boost::system::error_code error;
        bytes.resize(m_socket.read_some(asio::buffer(bytes), error));
        return bytes;
    }
    bool IsClosed() {
        boost::system::error_code error;
        char byte;
        asio::read(m_socket, asio::buffer(&byte, 1), error);
        return error == asio::error::eof || error == asio::error::connection_reset;
    }
    void Close() { m_socket.close(); }

  private:
    asio::io_context m_io;
    uint16_t m_port;
    tcp::socket m_socket;
    boost::beast::flat_buffer m_buffer;
};

using Response = http::response<http::string_body>;

class ContentGatewayTest : public testing::Test {
  protected:
    void SetUp() override {
        for (size_t i = 0; i < 1'000'000; ++i) streams.files[""] += static_cast<char>(i * 2654435761u >> 13);
        GatewayOptions options;
        options.credentials = kCredentials;
        Start(options);
    }
    void Start(GatewayOptions options) {
        options.credentials = kCredentials;
        gateway.reset();
        auto started = ContentGateway::Start(options, streams, tokens, random);
        ASSERT_TRUE(started) << started.error().message;
        gateway = std::move(*started);
    }
    std::string Url(const std::string& path = "") {
        return "/t/" + tokens.Issue(*ClaimId::FromHex(kClaim), {}, seconds(100)) + "/content/" + kClaim +
               (path.empty() ? "" : "/" + path);
    }
    Response Get(const std::string& extra = "", const std::string& path = "", const std::string& method = "GET") {
        Client client(gateway->port());
        client.Send(client.Request(Url(path), extra, method));
        return client.Read(method == "HEAD");
    }
    std::string GetField(const Response& response, const char* name) { return std::string(response[name]); }
    const std::string& film() { return streams.files.at(""); }

    ManualClock clock;
    SeededRandom random{1};
    node::ContentTokens tokens{clock, random};
    FakeStreams streams;
    std::unique_ptr<ContentGateway> gateway;
};

TEST_F(ContentGatewayTest, TheWholeFileComesWithWhatAPlayerWantsToKnow) {
    const Response response = Get();
    EXPECT_EQ(response.result_int(), 200u);
    EXPECT_EQ(response.body(), film());
    EXPECT_EQ(GetField(response, "Content-Type"), "video/mp4");
    EXPECT_EQ(GetField(response, "Accept-Ranges"), "bytes");
    EXPECT_EQ(GetField(response, "Content-Length"), "1000000");
    EXPECT_EQ(GetField(response, "Referrer-Policy"), "no-referrer");
    EXPECT_EQ(GetField(response, "X-Content-Type-Options"), "nosniff");
    EXPECT_THAT(GetField(response, "Content-Disposition"), HasSubstr("film.mp4"));
    EXPECT_THAT(GetField(response, "ETag"), testing::MatchesRegex("\"[0-9a-f]+\""));
    EXPECT_EQ(GetField(response, "Last-Modified"), "");
    EXPECT_EQ(GetField(response, "Access-Control-Allow-Origin"), "");
    streams.AwaitClosed(1);
}

TEST_F(ContentGatewayTest, ARangeIsCutOutAndNothingBehindItIsAskedFor) {
    const Response response = Get("Range: bytes=100-199\r\n");
    EXPECT_EQ(response.result_int(), 206u);
    EXPECT_EQ(response.body(), film().substr(100, 100));
    EXPECT_EQ(GetField(response, "Content-Range"), "bytes 100-199/1000000");
    EXPECT_EQ(streams.bytes_asked(), 100u);
    EXPECT_EQ(streams.furthest(), 200u);
    EXPECT_EQ(Get("Range: bytes=-1\r\n").body(), film().substr(999'999));
    EXPECT_EQ(Get("Range: bytes=999000-\r\n").body(), film().substr(999'000));
    EXPECT_EQ(Get("Range: items=0-1\r\n").result_int(), 200u);
}

TEST_F(ContentGatewayTest, SeveralRangesComeAsOneMultipartAnswer) {
    const Response response = Get("Range: bytes=0-9,500000-500009,-5\r\n");
    ASSERT_EQ(response.result_int(), 206u);
    const std::string type = GetField(response, "Content-Type");
    ASSERT_THAT(type, StartsWith("multipart/byteranges; boundary="));
    const std::string boundary = type.substr(type.find('=') + 1);
    const auto part = [&](const std::string& range, const std::string& bytes) {
        return "--" + boundary + "\r\nContent-Type: video/mp4\r\nContent-Range: bytes " + range + "/1000000\r\n\r\n" +
               bytes + "\r\n";
    };
    EXPECT_EQ(response.body(), part("0-9", film().substr(0, 10)) + part("500000-500009", film().substr(500'000, 10)) +
                                   part("999995-999999", film().substr(999'995)) + "--" + boundary + "--\r\n");
    EXPECT_EQ(GetField(response, "Content-Range"), "");
    // Ranges that touch are one, and then it is no multipart.
    EXPECT_EQ(GetField(Get("Range: bytes=0-9,10-19\r\n"), "Content-Range"), "bytes 0-19/1000000");
}

TEST_F(ContentGatewayTest, RangesThatCannotBeAreRefusedWithTheSize) {
    for (const char* range : {"bytes=1000000-", "bytes=-0", "bytes=2-1", "bytes=x", "bytes=0-,0-,0-"}) {
        const Response response = Get(std::string("Range: ") + range + "\r\n");
        EXPECT_EQ(response.result_int(), 416u) << range;
        EXPECT_EQ(GetField(response, "Content-Range"), "bytes */1000000");
    }
    EXPECT_EQ(streams.bytes_asked(), 0u) << "nothing was fetched, nothing is paid";
}

TEST_F(ContentGatewayTest, PreconditionsCompareTheTag) {
    const std::string etag = GetField(Get("", "", "HEAD"), "ETag");
    const Response known = Get("If-None-Match: " + etag + "\r\n");
    EXPECT_EQ(known.result_int(), 304u);
    EXPECT_EQ(known.body(), "");
    EXPECT_EQ(GetField(known, "ETag"), etag);
    EXPECT_EQ(Get("If-None-Match: \"other\"\r\n").result_int(), 200u);
    EXPECT_EQ(Get("If-Match: \"other\"\r\n").result_int(), 412u);
    EXPECT_EQ(Get("If-Match: " + etag + "\r\n").result_int(), 200u);
    EXPECT_EQ(Get("Range: bytes=0-0\r\nIf-Range: " + etag + "\r\n").result_int(), 206u);
    EXPECT_EQ(Get("Range: bytes=0-0\r\nIf-Range: W/" + etag + "\r\n").result_int(), 200u);
    EXPECT_EQ(Get("Range: bytes=0-0\r\nIf-Range: Wed, 21 Oct 2015 07:28:00 GMT\r\n").result_int(), 200u);
}

TEST_F(ContentGatewayTest, ATagIsOfTheContentThePathAndTheSize) {
    ContentId content;
    content.size_bytes = 5;
    const std::string tag = EntityTag(content, "a", 3);
    EXPECT_EQ(EntityTag(content, "a", 3), tag);
    EXPECT_NE(EntityTag(content, "b", 3), tag);
    EXPECT_NE(EntityTag(content, "a", 4), tag);
    content.root.bytes[0] = 1;
    EXPECT_NE(EntityTag(content, "a", 3), tag);
}

TEST_F(ContentGatewayTest, HeadHasTheFieldsOfGetWithoutFetchingAnything) {
    const Response response = Get("Range: bytes=0-9\r\n", "", "HEAD");
    EXPECT_EQ(response.result_int(), 200u) << "ranges are of GET alone";
    EXPECT_EQ(GetField(response, "Content-Length"), "1000000");
    EXPECT_EQ(GetField(response, "Accept-Ranges"), "bytes");
    EXPECT_EQ(streams.bytes_asked(), 0u);
    streams.AwaitClosed(1);
}

TEST_F(ContentGatewayTest, RequestsSentAheadAreAnsweredInTheirOrderOnOneConnection) {
    Client client(gateway->port());
    const std::string url = Url();
    client.Send(client.Request(url, "Range: bytes=0-4\r\n") + client.Request(url, "", "HEAD") +
                client.Request(url, "Range: bytes=5-9\r\n") + client.Request("/nothing", "") +
                client.Request(url, "Range: bytes=10-14\r\nConnection: close\r\n"));
    EXPECT_EQ(client.Read().body(), film().substr(0, 5));
    EXPECT_EQ(client.Read(true).result_int(), 200u);
    EXPECT_EQ(client.Read().body(), film().substr(5, 5));
    EXPECT_EQ(client.Read().result_int(), 404u);
    EXPECT_EQ(client.Read().body(), film().substr(10, 5));
    EXPECT_TRUE(client.IsClosed());
}

TEST_F(ContentGatewayTest, AnEmptyFileHasNoBytesAndNoRanges) {
    streams.files["empty"] = "";
    EXPECT_EQ(Get("", "empty").result_int(), 200u);
    EXPECT_EQ(Get("", "empty").body(), "");
    EXPECT_EQ(Get("Range: bytes=0-\r\n", "empty").result_int(), 416u);
}

// ---- who may

TEST_F(ContentGatewayTest, WithoutCredentialsOrTokenNothingIsOpened) {
    Client client(gateway->port());
    client.Send(client.Request("/content/" + kClaim, ""));
    const Response response = client.Read();
    EXPECT_EQ(response.result_int(), 401u);
    EXPECT_THAT(GetField(response, "WWW-Authenticate"), StartsWith("Basic"));
    client.Send(client.Request("/content/" + kClaim, "Authorization: Basic " + Base64Encode("__cookie__:ab") + "\r\n"));
    EXPECT_EQ(client.Read().result_int(), 401u);
    EXPECT_EQ(streams.requests(), 0u);
    client.Send(client.Request("/content/" + kClaim, "Authorization: Basic " + Base64Encode(kCredentials) + "\r\n"));
    EXPECT_EQ(client.Read().result_int(), 200u);
}

TEST_F(ContentGatewayTest, ATokenOfAnotherClaimOrAnExpiredOneOpensNothing) {
    const std::string token = tokens.Issue(*ClaimId::FromHex(kClaim), {}, seconds(100));
    Client client(gateway->port());
    const auto status = [&](const std::string& target) {
        client.Send(client.Request(target, "", "HEAD"));
        return client.Read(true).result_int();
    };
    EXPECT_EQ(status("/t/" + token + "/content/" + kClaim), 200u);
    EXPECT_EQ(status("/t/" + token + "/content/" + std::string(64, '2')), 403u);
    EXPECT_EQ(status("/t/" + token + "/content/" + kClaim.substr(0, 12)), 403u) << "a token names its claim whole";
    EXPECT_EQ(status("/t/" + std::string(64, '0') + "/content/" + kClaim), 403u);
    clock.Advance(seconds(100));
    EXPECT_EQ(status("/t/" + token + "/content/" + kClaim), 403u);
    EXPECT_EQ(streams.requests(), 1u);
}

TEST_F(ContentGatewayTest, ATokensLimitsGoWithWhatItOpens) {
    node::FetchLimits limits;
    limits.max_cost = Amount(5);
    const std::string token = tokens.Issue(*ClaimId::FromHex(kClaim), limits, seconds(100));
    Client client(gateway->port());
    client.Send(client.Request("/t/" + token + "/content/" + kClaim, "", "HEAD"));
    client.Read(true);
    EXPECT_EQ(streams.last_request().limits, limits);
}

TEST_F(ContentGatewayTest, ANameThatWasMadeToPointHereIsMisdirected) {  // DNS rebinding
    const std::string url = Url();
    const std::string port = std::to_string(gateway->port());
    for (const std::string& host : {std::string("evil.example"), "evil.example:" + port, std::string("127.0.0.1"),
                                    "127.0.0.1:1" + port, "127.0.0.1.evil.example:" + port, std::string("")}) {
        Client client(gateway->port());
        client.Send("GET " + url + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
        EXPECT_EQ(client.Read().result_int(), 421u) << host;
    }
    for (const std::string fields : {"", "Host: 127.0.0.1:1\r\nHost: 127.0.0.1:1\r\n"}) {
        Client client(gateway->port());
        client.Send("GET " + url + " HTTP/1.1\r\n" + fields + "\r\n");
        EXPECT_EQ(client.Read().result_int(), 400u);
    }
    for (const std::string& target : {"http://evil.example" + url, "http://evil.example:" + port + url,
                                      "http://127.0.0.1:" + port + "@evil.example" + url, std::string("http://")}) {
        Client client(gateway->port());
        client.Send(client.Request(target, ""));
        EXPECT_EQ(client.Read().result_int(), 421u) << target;
    }
    EXPECT_EQ(streams.requests(), 0u);
    Client client(gateway->port());
    client.Send("GET " + url + " HTTP/1.1\r\nHost: LocalHost:" + port + "\r\n\r\n");
    EXPECT_EQ(client.Read().result_int(), 200u);
    // The absolute form, as to a proxy: its host counts.
    Client absolute(gateway->port());
    absolute.Send("GET HTTP://127.0.0.1:" + port + url + " HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
    EXPECT_EQ(absolute.Read().result_int(), 200u);
}

TEST_F(ContentGatewayTest, APageOfAnotherOriginCannotUseTheBrowsersCredentials) {
    Client client(gateway->port());
    const auto status = [&](const std::string& site) {
        client.Send(client.Request(
            "/content/" + kClaim,
            "Authorization: Basic " + Base64Encode(kCredentials) + "\r\nSec-Fetch-Site: " + site + "\r\n", "HEAD"));
        return client.Read(true).result_int();
    };
    EXPECT_EQ(status("cross-site"), 403u);
    EXPECT_EQ(status("same-site"), 403u);
    EXPECT_EQ(status("none"), 200u);
    EXPECT_EQ(status("same-origin"), 200u);
}

TEST_F(ContentGatewayTest, PublishedHtmlRunsInASandbox) {
    streams.files["index.html"] = "<script>fetch('/')</script>";
    streams.files["x.svg"] = "<svg/>";
    for (const char* path : {"index.html", "x.svg"})
        EXPECT_THAT(GetField(Get("", path), "Content-Security-Policy"), StartsWith("sandbox; default-src 'none'"));
    streams.mime = "text/html";
    EXPECT_THAT(GetField(Get(), "Content-Security-Policy"), StartsWith("sandbox;")) << "whatever it is called";
    streams.mime = "text/html\r\nX-Evil: 1";
    EXPECT_EQ(GetField(Get(), "X-Evil"), "");
    EXPECT_EQ(GetField(Get("Range: bytes=0-9\r\n"), "Content-Security-Policy"), "") << "a film is no document";
}

TEST_F(ContentGatewayTest, OnlyGetAndHeadAreAnswered) {
    for (const char* method : {"PUT", "DELETE", "OPTIONS", "TRACE"}) {
        const Response response = Get("", "", method);
        EXPECT_EQ(response.result_int(), 405u) << method;
        EXPECT_EQ(GetField(response, "Allow"), "GET, HEAD");
    }
    EXPECT_EQ(Get("Content-Length: 3\r\n").result_int(), 413u);
    EXPECT_EQ(Get("Transfer-Encoding: chunked\r\n").result_int(), 413u);
}

TEST_F(ContentGatewayTest, WhatIsNoRequestIsRefusedAndTheConnectionEnds) {
    for (const std::string& bytes :
         {std::string("\r\n\r\n\0\0", 6), std::string("GET\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
          "GET / HTTP/1.1\r\n" + std::string(100, ':') + "\r\n\r\n"}) {
        Client client(gateway->port());
        client.Send(bytes);
        const std::string answer = client.ReadAll();
        EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 ")) << bytes;
    }
    Client client(gateway->port());
    client.Send("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n");
    EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 431 "));
}

// ---- listings

TEST_F(ContentGatewayTest, AFolderIsListedAndAPartOfItToo) {
    auto manifest = std::make_shared<content::Manifest>();
    manifest->entries = {{"a.txt", 1, false}, {"s1/one.mp4", 5, false}, {"s1/two.mp4", 7, true}, {"s2/x", 0, false}};
    streams.folder = manifest;
    const Response whole = Get();
    EXPECT_EQ(GetField(whole, "Content-Type"), "application/json");
    EXPECT_THAT(whole.body(), HasSubstr(R"({"path":"a.txt","size":1,"type":"text/plain"})"));
    EXPECT_THAT(whole.body(), HasSubstr(R"("title":"A title")"));
    EXPECT_THAT(whole.body(), HasSubstr("s2/x"));
    const Response part = Get("", "s1/");
    EXPECT_THAT(part.body(), HasSubstr("s1/two.mp4"));
    EXPECT_THAT(part.body(), Not(HasSubstr("a.txt")));
    EXPECT_EQ(Get("", "s3/").result_int(), 404u);
    EXPECT_THAT(Get("", "?after=s1%2Fone.mp4").body(), Not(HasSubstr("one.mp4")));
}

TEST_F(ContentGatewayTest, ALongListingComesInPages) {
    auto manifest = std::make_shared<content::Manifest>();
    for (int i = 0; i < 10'001; ++i) {
        char name[16];
        std::snprintf(name, sizeof name, "f%06d", i);
        manifest->entries.push_back({name, 1, false});
    }
    streams.folder = manifest;
    const Response first = Get();
    EXPECT_THAT(first.body(), HasSubstr("\"more\":true"));
    EXPECT_THAT(first.body(), Not(HasSubstr("f010000")));
    const Response second = Get("", "?after=f009999");
    EXPECT_THAT(second.body(), HasSubstr("\"more\":false"));
    EXPECT_THAT(second.body(), HasSubstr("f010000"));
}

// ---- errors and ends

TEST_F(ContentGatewayTest, ErrorsSayWhatToDoWithTheStatusOfTheirKind) {
    streams.errors = {{"key", {ErrorKind::kNoKey, "this wallet does not have the key: buy it first with 'buy'"}},
                      {"money", {ErrorKind::kFunds, "every seeder asks more"}},
                      {"none", {ErrorKind::kNotFound, "not known"}},
                      {"busy", {ErrorKind::kUnavailable, "128 streams are open already"}}};
    const std::pair<const char*, unsigned> cases[] = {{"key", 402}, {"money", 402}, {"none", 404}, {"busy", 503}};
    for (const auto& [path, status] : cases) {
        const Response response = Get("", path);
        EXPECT_EQ(response.result_int(), status) << path;
        EXPECT_EQ(response.body(), streams.errors.at(path).message + "\n");
    }
}

TEST_F(ContentGatewayTest, APartThatDoesNotComeIsATimeoutBeforeTheFirstByteAndAShortAnswerAfterIt) {
    streams.FailReads(Error{ErrorKind::kTimeout, "nothing came for 60 s: the download waits for a peer that has it"});
    EXPECT_EQ(Get().result_int(), 504u);
    streams.FailReads({});
    streams.files["big"] = std::string(64 << 20, 'x');  // more than fits in sockets
    Client client(gateway->port());
    client.Send(client.Request(Url("big"), ""));
    EXPECT_THAT(client.ReadSome(), StartsWith("HTTP/1.1 200 "));
    streams.Hold();
    auto rest = std::async(std::launch::async, [&] { return client.ReadAll().size(); });
    streams.AwaitWaiting();
    streams.FailHeld({ErrorKind::kUnavailable, "nothing came"});
    EXPECT_LT(rest.get(), streams.files["big"].size() - 1'000'000) << "the client sees that it is cut off";
    streams.AwaitClosed(2);
}

TEST_F(ContentGatewayTest, AClientThatLeavesWhileItWaitsEndsItsStream) {
    streams.Hold();
    Client client(gateway->port());
    client.Send(client.Request(Url(), ""));
    streams.AwaitWaiting();
    client.Close();
    streams.AwaitClosed(1);
}

TEST_F(ContentGatewayTest, TooManyConnectionsAreToldSo) {
    GatewayOptions options;
    options.max_connections = 2;
    Start(options);
    Client first(gateway->port()), second(gateway->port()), third(gateway->port());
    // Both are known to be open once they were answered.
    first.Send(first.Request(Url(), "", "HEAD"));
    first.Read(true);
    second.Send(second.Request(Url(), "", "HEAD"));
    second.Read(true);
    EXPECT_THAT(third.ReadAll(), StartsWith("HTTP/1.1 503 "));
    first.Send(first.Request(Url(), "", "HEAD"));
    EXPECT_EQ(first.Read(true).result_int(), 200u);
}

TEST_F(ContentGatewayTest, AHeaderThatComesDripByDripIsCutOff) {  // slow loris
    GatewayOptions options;
    options.idle_timeout = milliseconds(50);
    Start(options);
    Client client(gateway->port());
    client.Send("GET / HTTP/1.1\r\nHost:");
    EXPECT_TRUE(client.IsClosed());
}

TEST_F(ContentGatewayTest, AClientThatTakesNothingIsCutOff) {
    streams.files["big"] = std::string(64 << 20, 'x');
    GatewayOptions options;
    options.stall_timeout = milliseconds(100);
    Start(options);
    Client client(gateway->port());
    client.Send(client.Request(Url("big"), ""));
    streams.AwaitClosed(1);  // though nothing was read
    EXPECT_LT(client.ReadAll().size(), size_t{64} << 20);
}

TEST_F(ContentGatewayTest, StoppingEndsWhatIsOpenAndForgetsThePort) {
    EXPECT_EQ(tokens.port(), gateway->port());
    streams.Hold();
    Client client(gateway->port());
    client.Send(client.Request(Url(), ""));
    streams.AwaitWaiting();
    gateway->Stop();
    EXPECT_TRUE(client.IsClosed());
    EXPECT_EQ(tokens.port(), 0);
    streams.FailHeld({ErrorKind::kUnavailable, "late"});  // an answer after the end does no harm
}

TEST_F(ContentGatewayTest, OnlyLoopbackIsListenedOn) {
    GatewayOptions options;
    options.credentials = kCredentials;
    options.address = "0.0.0.0";
    const auto started = ContentGateway::Start(options, streams, tokens, random);
    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().message, HasSubstr("loopback"));
    options.address = "127.0.0.1";
    options.port = gateway->port();
    const auto second = ContentGateway::Start(options, streams, tokens, random);
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().message, HasSubstr("-gatewayport"));
}

}  // namespace
}  // namespace sluice::rpc
