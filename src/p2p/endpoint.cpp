#include "p2p/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace sluice::p2p {
namespace {

constexpr std::array<uint8_t, 12> kIpv4Prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::optional<std::array<uint8_t, 16>> ParseIp(const std::string& text) {
    std::array<uint8_t, 16> ip{};
    if (inet_pton(AF_INET6, text.c_str(), ip.data()) == 1) return ip;
    std::copy(kIpv4Prefix.begin(), kIpv4Prefix.end(), ip.begin());
    if (inet_pton(AF_INET, text.c_str(), ip.data() + 12) == 1) return ip;
    return std::nullopt;
}

bool RoutableIpv4(const uint8_t* ip) {
    const uint8_t a = ip[0];
    const uint8_t b = ip[1];
    return !(a == 0 || a == 10 || a == 127 || a >= 224 || (a == 100 && b >= 64 && b < 128) || (a == 169 && b == 254) ||
             (a == 172 && b >= 16 && b < 32) || (a == 192 && b == 168) ||
             (a == 192 && b == 0 && (ip[2] == 0 || ip[2] == 2)) || (a == 198 && (b == 18 || b == 19)) ||
             (a == 198 && b == 51 && ip[2] == 100) || (a == 203 && b == 0 && ip[2] == 113));
}

}  // namespace

bool Endpoint::IsIpv4() const { return std::equal(kIpv4Prefix.begin(), kIpv4Prefix.end(), ip.begin()); }

bool Endpoint::IsLoopback() const {
    if (IsIpv4()) return ip[12] == 127;
    return ip[15] == 1 && std::all_of(ip.begin(), ip.end() - 1, [](uint8_t b) { return b == 0; });
}

bool Endpoint::IsUnspecified() const {
    const auto start = IsIpv4() ? ip.begin() + 12 : ip.begin();
    return std::all_of(start, ip.end(), [](uint8_t b) { return b == 0; });
}

bool Endpoint::IsRoutable() const {
    if (IsIpv4()) return RoutableIpv4(ip.data() + 12);
    const bool documentation = ip[0] == 0x20 && ip[1] == 0x01 && ip[2] == 0x0d && ip[3] == 0xb8;
    return (ip[0] & 0xe0) == 0x20 && !documentation;  // global unicast, 2000::/3
}

std::string Endpoint::Ip() const {
    char text[INET6_ADDRSTRLEN];
    const bool v4 = IsIpv4();
    if (inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip.data() + 12 : ip.data(), text, sizeof(text)) == nullptr) return "?";
    return text;
}

std::string Endpoint::ToString() const {
    return IsIpv4() ? Ip() + ":" + std::to_string(port) : "[" + Ip() + "]:" + std::to_string(port);
}

Endpoint Endpoint::Ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port) {
    Endpoint endpoint;
    std::copy(kIpv4Prefix.begin(), kIpv4Prefix.end(), endpoint.ip.begin());
    endpoint.ip[12] = a;
    endpoint.ip[13] = b;
    endpoint.ip[14] = c;
    endpoint.ip[15] = d;
    endpoint.port = port;
    return endpoint;
}

Result<Endpoint> ParseEndpoint(std::string_view text, uint16_t default_port, std::string_view field) {
    const auto fail = [&] {
        return Fail(std::string(field) + " \"" + std::string(text.substr(0, 80)) +
                    "\" is not an IP address with an optional port: write it like 127.0.0.1:9000 or [::1]:9000");
    };
    std::string_view ip = text;
    std::optional<std::string_view> port_text;
    if (text.starts_with('[')) {
        const size_t end = text.find(']');
        if (end == std::string_view::npos) return fail();
        ip = text.substr(1, end - 1);
        const std::string_view rest = text.substr(end + 1);
        if (!rest.empty() && !rest.starts_with(':')) return fail();
        if (!rest.empty()) port_text = rest.substr(1);
        if (ip.find(':') == std::string_view::npos) return fail();
    } else if (std::count(text.begin(), text.end(), ':') == 1) {
        ip = text.substr(0, text.find(':'));
        port_text = text.substr(text.find(':') + 1);
    }
    Endpoint endpoint;
    endpoint.port = default_port;
    if (port_text) {
        const auto [end, error] =
            std::from_chars(port_text->data(), port_text->data() + port_text->size(), endpoint.port);
        if (error != std::errc() || end != port_text->data() + port_text->size()) return fail();
    }
    if (ip.find('\0') != std::string_view::npos) return fail();
    const auto parsed = ParseIp(std::string(ip));
    if (!parsed) return fail();
    endpoint.ip = *parsed;
    return endpoint;
}

}  // namespace sluice::p2p
