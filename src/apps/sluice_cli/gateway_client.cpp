#include "apps/sluice_cli/gateway_client.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <limits>

namespace sluice::apps {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

constexpr std::string_view kScheme = "http://127.0.0.1:";
constexpr size_t kBufferBytes = 256 << 10;
constexpr size_t kMaxErrorBytes = 4'096;

struct Place {
    uint16_t port{0};
    std::string target;
};

std::optional<Place> ParseUrl(std::string_view url) {
    if (!url.starts_with(kScheme)) return std::nullopt;
    url.remove_prefix(kScheme.size());
    Place place;
    const auto [end, error] = std::from_chars(url.data(), url.data() + url.size(), place.port);
    if (error != std::errc() || end == url.data() + url.size() || *end != '/') return std::nullopt;
    place.target = std::string(end, url.data() + url.size());
    return place;
}

// "bytes 5-9/100" -> 5 and 100.
void ReadContentRange(std::string_view field, GatewayAnswer& answer) {
    const size_t space = field.find(' '), slash = field.find('/');
    if (space == field.npos || slash == field.npos) return;
    std::from_chars(field.data() + space + 1, field.data() + slash, answer.first_byte);
    std::from_chars(field.data() + slash + 1, field.data() + field.size(), answer.size_bytes);
}

}  // namespace

CliResult<GatewayAnswer> ReadFromGateway(const std::string& url, const std::optional<std::string>& range,
                                         const std::function<void(const GatewayAnswer&)>& begin,
                                         const std::function<bool(std::string_view)>& bytes) {
    const auto place = ParseUrl(url);
    if (!place) return CliFail("the node gave no URL of its content gateway: is it of another version?");
    asio::io_context io{1};
    asio::ip::tcp::socket socket(io);
    ErrorCode error;
    socket.connect({asio::ip::address_v4::loopback(), place->port}, error);
    if (error) return CliFail(fmt::format("cannot reach the content gateway: {}", error.message()));
    http::request<http::empty_body> request(http::verb::get, place->target, 11);
    request.set(http::field::host, fmt::format("127.0.0.1:{}", place->port));
    if (range) request.set(http::field::range, *range);
    request.keep_alive(false);
    http::write(socket, request, error);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(std::numeric_limits<uint64_t>::max());  // a file may have any size
    if (!error) http::read_header(socket, buffer, parser, error);
    if (error) return CliFail(fmt::format("the content gateway did not answer: {}", error.message()));

    std::string into(kBufferBytes, '\0');
    const auto next = [&]() -> std::string_view {
        parser.get().body().data = into.data();
        parser.get().body().size = into.size();
        parser.get().body().more = true;
        http::read_some(socket, buffer, parser, error);
        if (error == http::error::need_buffer) error = {};
        return {into.data(), into.size() - parser.get().body().size};
    };
    const unsigned status = parser.get().result_int();
    if (status != 200 && status != 206) {
        std::string text;
        while (!parser.is_done() && !error && text.size() < kMaxErrorBytes) text += next();
        while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
        return CliFail(text.empty() ? fmt::format("the content gateway answered with HTTP status {}", status) : text);
    }
    GatewayAnswer answer;
    answer.length_bytes = answer.size_bytes = parser.content_length().value_or(0);
    const auto field = parser.get()[http::field::content_range];
    ReadContentRange({field.data(), field.size()}, answer);
    begin(answer);
    uint64_t got = 0;
    while (!parser.is_done()) {
        const std::string_view part = next();
        got += part.size();
        if (!part.empty() && !bytes(part)) return answer;
        if (error)
            return CliFail(fmt::format("the stream ended after {} of {} bytes: see the node's debug.log", got,
                                       answer.length_bytes));
    }
    return answer;
}

}  // namespace sluice::apps
