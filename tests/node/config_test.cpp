#include "node/config.h"

#include <gtest/gtest.h>

namespace sluice::node {
namespace {

NodeConfig On(const std::string& chain, std::vector<std::string> bind = {}) {
    NodeConfig config;
    config.chain = chain;
    config.bind = std::move(bind);
    return config;
}

TEST(NodeConfigDiscovery, IsOffOnRegtestWithConnectAndOnLoopbackUnlessItIsAskedFor) {
    EXPECT_TRUE(On("main").UsesDht());
    EXPECT_TRUE(On("mynet").UsesLan());
    EXPECT_TRUE(On("mynet", {"192.168.1.2"}).UsesUpnp());
    EXPECT_FALSE(On("regtest").UsesDht());
    EXPECT_FALSE(On("regtest", {"0.0.0.0"}).UsesLan());
    EXPECT_FALSE(On("mynet", {"127.0.0.1:9000", "::1"}).UsesDht());
    EXPECT_TRUE(On("mynet", {"127.0.0.1", "0.0.0.0"}).UsesDht());
    NodeConfig config = On("mynet");
    config.connect = {"8.8.8.8"};
    EXPECT_FALSE(config.UsesDht());
    EXPECT_FALSE(config.UsesUpnp());
    config.dht = true;
    EXPECT_TRUE(config.UsesDht());
    config = On("mynet");
    config.lan = false;
    config.listen = false;
    EXPECT_FALSE(config.UsesLan());
    EXPECT_FALSE(config.UsesUpnp());
    EXPECT_TRUE(config.UsesDht());
}

TEST(NodeConfigDiscovery, LocalAddressesThatOthersTellAreDialledByLocalNetworksAlone) {
    EXPECT_TRUE(On("regtest").ListensLocally());
    EXPECT_FALSE(On("regtest", {"0.0.0.0"}).ListensLocally());
    EXPECT_TRUE(On("mynet", {"127.0.0.1", "192.168.1.2:9000"}).ListensLocally());
    EXPECT_FALSE(On("mynet").ListensLocally());
    EXPECT_FALSE(On("mynet", {"127.0.0.1", "8.8.8.8"}).ListensLocally());
    for (const char* chain : {"main", "test"}) EXPECT_FALSE(On(chain, {"127.0.0.1"}).ListensLocally()) << chain;
}

}  // namespace
}  // namespace sluice::node
