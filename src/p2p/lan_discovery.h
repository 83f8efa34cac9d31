#pragma once

#include <functional>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "p2p/dht_node.h"
#include "p2p/identity.h"
#include "p2p/token_bucket.h"
#include "util/random.h"

namespace sluice::p2p {

// One datagram of the local network. All kinds have the same size, so that an answer is never longer than what it
// answers [amplification]. A key is told only by who asks for it and who serves it.
struct LanDatagram {
    enum class Kind : uint8_t {
        kHere = 1,       // to the group: a node is here
        kHereToo = 2,    // the answer to it, to its sender alone
        kWhoServes = 3,  // to the group: who serves `key`?
        kServes = 4,     // the answer to it, to its sender alone
    };
    static constexpr std::array<uint8_t, 8> kTag{'S', 'L', 'U', 'L', 'A', 'N', '0', '1'};
    static constexpr size_t kBytes = 8 + 4 + 8 + 1 + 32 + 2 + 20;

    std::array<uint8_t, 8> tag = kTag;
    std::array<uint8_t, 4> magic{};
    std::array<uint8_t, 8> genesis{};  // the first bytes of its hash
    Kind kind{Kind::kHere};
    NodeId node;
    uint16_t port{0};  // where the sender accepts connections; 0: nowhere
    DhtKey key;        // zero if the kind has none

    friend bool operator==(const LanDatagram&, const LanDatagram&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive.Raw(self.tag);
        archive.Raw(self.magic);
        archive.Raw(self.genesis);
        archive(self.kind, self.node, self.port, self.key);
    }
};

struct LanSendToGroup {
    Bytes bytes;
};
struct LanSend {
    Endpoint to;
    Bytes bytes;
};
struct LanFoundNode {
    Endpoint endpoint;
};
struct LanFoundProvider {
    DhtKey key;
    Endpoint endpoint;
};
using LanAction = std::variant<LanSendToGroup, LanSend, LanFoundNode, LanFoundProvider>;

// Finds nodes and providers on the local network, like BEP 14 but with questions: a node says that it is here, and asks
// for a content when it wants it; nobody lists what it has. A pure state machine on the network strand.
//
// Datagrams from addresses that are not local are ignored, and answers are limited in all and for each address, so that
// a forged sender cannot make a flood of them.
class LanDiscovery {
  public:
    static constexpr seconds kAnnounceInterval{300};
    static constexpr seconds kAskInterval{30};  // at least, between questions for the same key
    static constexpr int64_t kAnswersPerSecond = 10;
    static constexpr int64_t kAnswerBurst = 20;
    static constexpr int64_t kHeardPerSecond = 100;  // datagrams that are looked at
    static constexpr int64_t kHeardBurst = 200;
    static constexpr seconds kAnswerPause{1};      // between answers of one kind to one address and key
    static constexpr size_t kMaxRemembered = 256;  // answers given, and keys asked for

    // `serves`: whether we serve a key to everybody.
    LanDiscovery(const NetworkId& network, const NodeId& node, std::function<bool(const DhtKey&)> serves, Instant now);

    // Where we accept connections; 0: nowhere. What we answer from then on.
    void SetPort(uint16_t port) { m_port = port; }
    // Asks for `key`, unless that was done within kAskInterval.
    void Ask(const DhtKey& key, Instant now);
    void OnDatagram(const Endpoint& from, ByteSpan bytes, Instant now);
    void Tick(Instant now);
    Instant NextWakeup() const { return m_next_announce; }
    std::vector<LanAction> TakeActions() { return std::exchange(m_actions, {}); }

  private:
    struct Answered {
        Endpoint to;
        DhtKey key;
        friend auto operator<=>(const Answered&, const Answered&) = default;
    };
    Bytes Make(LanDatagram::Kind kind, const DhtKey& key) const;
    void Answer(const Endpoint& to, LanDatagram::Kind kind, const DhtKey& key, Instant now);

    const NetworkId m_network;
    const NodeId m_node;
    std::function<bool(const DhtKey&)> m_serves;
    uint16_t m_port{0};
    Instant m_next_announce;
    TokenBucket m_answers;
    TokenBucket m_heard;
    std::map<Answered, Instant> m_answered;
    std::map<DhtKey, Instant> m_asked;
    std::vector<LanAction> m_actions;
};

}  // namespace sluice::p2p
