#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "util/result.h"
#include "util/serialize.h"

namespace sluice::p2p {

// An address that can be dialled: an IPv6 address (IPv4 as ::ffff:a.b.c.d) and a TCP port.
struct Endpoint {
    std::array<uint8_t, 16> ip{};
    uint16_t port{0};

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive.Raw(self.ip);
        archive(self.port);
    }

    bool IsIpv4() const;
    bool IsLoopback() const;     // 127.0.0.0/8 and ::1
    bool IsUnspecified() const;  // 0.0.0.0 and ::
    // A public unicast address, fit to be told to others: not private, link-local, loopback, multicast, reserved or
    // unspecified.
    bool IsRoutable() const;
    // The address without its port: "127.0.0.1", "::1".
    std::string Ip() const;
    // "127.0.0.1:9000", "[::1]:9000".
    std::string ToString() const;

    static Endpoint Ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);
};

// Parses "127.0.0.1:9000", "127.0.0.1", "[::1]:9000", "[::1]" or "::1"; `default_port` stands in for a missing port.
// Names are not resolved here. `field` names the option in the error.
Result<Endpoint> ParseEndpoint(std::string_view text, uint16_t default_port, std::string_view field = "address");

}  // namespace sluice::p2p
