#pragma once

#include <map>
#include <variant>
#include <vector>

#include "node/provider_book.h"
#include "p2p/token_bucket.h"

namespace sluice::node {

struct TellPeer {  // Providers
    PeerId peer;
    ContentId content;
    std::vector<p2p::Endpoint> endpoints;
};
struct QueryPeer {  // HaveQuery
    PeerId peer;
    ContentId content;
};
using ExchangeAction = std::variant<TellPeer, QueryPeer>;

// Answers peers that ask who serves a content: with whom we know, and if that is few, with those of our peers that say
// that they serve it. Names only nodes that accept connections, and never the one that asks. A pure state machine on
// the network strand.
//
// Bounded: questions of a peer by a rate, one content's by kRepeat; what is asked on others' behalf by kQueryInterval
// for each content and a rate for all, so that questions are no lever on our other peers.
class ProviderExchange {
  public:
    static constexpr int64_t kQuestionsPerSecond = 1;
    static constexpr int64_t kQuestionBurst = 16;
    static constexpr seconds kRepeat{20};  // the same question of the same peer is not answered before
    static constexpr size_t kMaxContentsOfPeer = 64;
    static constexpr size_t kEnoughToTell = 4;
    static constexpr size_t kQueriedPeers = 8;
    static constexpr seconds kQueryInterval{60};
    static constexpr int64_t kQueriesPerSecond = 8;
    static constexpr int64_t kQueryBurst = 64;
    static constexpr seconds kWait{10};  // answers of our peers are passed on for so long
    static constexpr size_t kMaxWaitingContents = 256;
    static constexpr size_t kMaxWaitingPeers = 8;  // for a content

    ProviderExchange(const ProviderBook& book, bool allow_local, Instant now)
        : m_book(book), m_allow_local(allow_local), m_queries(kQueriesPerSecond, kQueryBurst, now) {}

    std::vector<ExchangeAction> TakeActions() { return std::exchange(m_actions, {}); }
    void OnGetProviders(PeerId peer, const ContentId& content, Instant now);
    void OnHave(PeerId peer, const ContentId& content, bool serves, Instant now);
    void OnPeerGone(PeerId peer);

  private:
    struct Asker {
        explicit Asker(Instant now) : questions(kQuestionsPerSecond, kQuestionBurst, now) {}
        p2p::TokenBucket questions;
        std::map<ContentId, Instant> answered;
    };
    struct Waiting {
        Instant queried;
        std::map<PeerId, size_t> told;  // how many endpoints each has got
    };
    std::vector<p2p::Endpoint> Known(PeerId asker, const ContentId& content, Instant now) const;
    void Query(PeerId asker, const ContentId& content, size_t told, Instant now);

    const ProviderBook& m_book;
    const bool m_allow_local;
    p2p::TokenBucket m_queries;
    std::map<PeerId, Asker> m_askers;
    std::map<ContentId, Waiting> m_waiting;
    std::vector<ExchangeAction> m_actions;
};

}  // namespace sluice::node
