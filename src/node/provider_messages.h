#pragma once

#include "content/messages.h"
#include "p2p/endpoint.h"

// Peer exchange: content messages that name nodes. They never reach the swarm.
//
//   downloader                         any peer
//   GetProviders       ------------->
//                      <-------------  Providers, once or several times, or nothing

namespace sluice::node {

struct GetProviders {
    static constexpr auto kType = content::ContentMessageType::kGetProviders;
    ContentId content;

    friend bool operator==(const GetProviders&, const GetProviders&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.content); }
};

// Where nodes accept connections that serve `content` now, or did lately, as far as the sender knows.
struct Providers {
    static constexpr auto kType = content::ContentMessageType::kProviders;
    static constexpr size_t kMaxEndpoints = 32;
    ContentId content;
    std::vector<p2p::Endpoint> endpoints;

    friend bool operator==(const Providers&, const Providers&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.content);
        archive.Vector(self.endpoints, kMaxEndpoints, 18);
    }
};

// The message of type T in a content payload whose type byte says T; the error names what is wrong.
template <class T>
Result<T> DecodeProviderMessage(ByteSpan payload) {
    return Decode<T>(payload.subspan(1));
}

}  // namespace sluice::node
