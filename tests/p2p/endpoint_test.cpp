#include "p2p/endpoint.h"

#include <gtest/gtest.h>

namespace sluice::p2p {
namespace {

TEST(Endpoint, ParsesEveryForm) {
    struct Case {
        const char* text;
        const char* shown;
    };
    const Case cases[] = {
        {"127.0.0.1:9000", "127.0.0.1:9000"},
        {"127.0.0.1", "127.0.0.1:7"},
        {"[::1]:9000", "[::1]:9000"},
        {"[::1]", "[::1]:7"},
        {"::1", "[::1]:7"},
        {"2001:DB8::2", "[2001:db8::2]:7"},
        {"1.2.3.4:0", "1.2.3.4:0"},
        {"1.2.3.4:65535", "1.2.3.4:65535"},
        {"[::ffff:1.2.3.4]:5", "1.2.3.4:5"},
    };
    for (const Case& c : cases) {
        const auto endpoint = ParseEndpoint(c.text, 7);
        ASSERT_TRUE(endpoint) << c.text;
        EXPECT_EQ(endpoint->ToString(), c.shown);
        EXPECT_EQ(Decode<Endpoint>(Encode(*endpoint)), *endpoint);
    }
}

TEST(Endpoint, RefusesTheRestWithOneClearLine) {
    for (const char* text : {"", "localhost:9000", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:9x", "1.2.3",
                             "[::1", "[::1]9000", "[1.2.3.4]:9", "::1]:9", "1.2.3.4:9:9", " 1.2.3.4"}) {
        const auto endpoint = ParseEndpoint(text, 7, "-addnode");
        ASSERT_FALSE(endpoint) << text;
        EXPECT_EQ(endpoint.error().message,
                  "-addnode \"" + std::string(text) +
                      "\" is not an IP address with an optional port: write it like 127.0.0.1:9000 or [::1]:9000");
    }
}

TEST(Endpoint, TellsPublicAddressesFromOthers) {
    for (const char* text :
         {"8.8.8.8", "100.63.0.1", "100.128.0.1", "172.15.0.1", "172.32.0.1", "2600::1", "223.255.255.1"}) {
        EXPECT_TRUE(ParseEndpoint(text, 1)->IsRoutable()) << text;
    }
    for (const char* text :
         {"0.0.0.0", "10.1.1.1", "127.0.0.1", "100.64.0.1", "169.254.1.1", "172.16.0.1", "172.31.255.1", "192.168.0.1",
          "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "ff02::1", "2001:db8::1"}) {
        EXPECT_FALSE(ParseEndpoint(text, 1)->IsRoutable()) << text;
    }
    EXPECT_TRUE(ParseEndpoint("127.9.9.9", 1)->IsLoopback());
    EXPECT_TRUE(ParseEndpoint("::1", 1)->IsLoopback());
    EXPECT_FALSE(ParseEndpoint("128.0.0.1", 1)->IsLoopback());
    EXPECT_FALSE(ParseEndpoint("::2", 1)->IsLoopback());
}

}  // namespace
}  // namespace sluice::p2p
