#include "apps/sluice_cli/rpc_client.h"

#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdlib>

#include "rpc/cookie.h"

namespace sluice::apps {

using rpc::Json;

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

constexpr uint64_t kMaxAnswerBytes = uint64_t{1} << 30;

}  // namespace

CliResult<std::string> RpcClient::Post(const std::string& body) const {
    asio::io_context io{1};
    ErrorCode error;
    asio::ip::tcp::resolver resolver(io);
    const auto endpoints = resolver.resolve(m_target.host, std::to_string(m_target.port), error);
    if (error)
        return CliFail(
            fmt::format("cannot find the host '{}': {}: give -rpcconnect=127.0.0.1", m_target.host, error.message()));

    beast::tcp_stream stream(io);
    if (m_target.timeout.count() > 0) stream.expires_after(m_target.timeout);
    // One step after the other, each under the time limit.
    const auto finish = [&](auto start) {
        start();
        io.restart();
        io.run();
        return !error;
    };
    const auto keep = [&](const ErrorCode& result, auto&&...) { error = result; };
    if (!finish([&] { stream.async_connect(endpoints, keep); })) {
        return CliFail(fmt::format("cannot reach sluiced at {}:{}: {}: is it running? start it with: {}", m_target.host,
                                   m_target.port, error.message(), m_target.start_command));
    }
    http::request<http::string_body> request(http::verb::post, "/", 11, body);
    request.set(http::field::host, m_target.host);
    request.set(http::field::authorization, "Basic " + rpc::Base64Encode(m_target.credentials));
    request.set(http::field::content_type, "application/json");
    request.keep_alive(false);
    request.prepare_payload();
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxAnswerBytes);
    if (!finish([&] { http::async_write(stream, request, keep); }) ||
        !finish([&] { http::async_read(stream, buffer, parser, keep); })) {
        const std::string why =
            error == beast::error::timeout
                ? fmt::format("no answer for {} s: give a longer -rpcclienttimeout", m_target.timeout.count())
                : error.message();
        return CliFail(fmt::format("sluiced at {}:{} did not answer: {}", m_target.host, m_target.port, why));
    }
    const unsigned status = parser.get().result_int();
    if (status == 401) return CliFail("sluiced refused the cookie: is -datadir that of the running node?");
    if (parser.get().body().empty() || parser.get().body().front() != '{')
        return CliFail(fmt::format("{}:{} answered with HTTP status {}: is that sluiced's RPC port?", m_target.host,
                                   m_target.port, status));
    return std::move(parser.get().body());
}

CliResult<Json> RpcClient::Call(const std::string& method, const Json& params) const {
    const Json request{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}};
    ASSIGN_OR_RETURN(const std::string body, Post(request.dump(-1, ' ', false, Json::error_handler_t::replace)));
    return ReadAnswer(body);
}

CliResult<Json> ReadAnswer(const std::string& body) {
    Json answer = Json::parse(body, nullptr, false);
    if (!answer.is_object()) return CliFail("the answer is not JSON-RPC: is that sluiced's RPC port?");
    if (const auto error = answer.find("error"); error != answer.end() && !error->is_null()) {
        if (!error->is_object() || !error->contains("message") || !(*error)["message"].is_string())
            return CliFail("the node answered with an error: " + error->dump());
        const bool has_code = error->contains("code") && (*error)["code"].is_number_integer();
        const int status = has_code ? static_cast<int>(std::llabs((*error)["code"].get<int64_t>()) % 256) : 1;
        return CliFail((*error)["message"].get<std::string>(), status == 0 ? 1 : status);
    }
    if (!answer.contains("result")) return CliFail("the answer has no result: is that sluiced's RPC port?");
    return std::move(answer["result"]);
}

}  // namespace sluice::apps
