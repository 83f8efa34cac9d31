#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "p2p/network.h"

namespace sluice::p2p {

// Several Networks in one place: bytes move only when Deliver runs, in the order they were written.
class MemoryInternet {
  public:
    class Node final : public Network {
      public:
        Node(MemoryInternet& internet, Endpoint address) : m_internet(internet), m_address(address) {}
        void SetEvents(NetworkEvents& events) override { m_events = &events; }
        ConnectionId Connect(const Endpoint& endpoint) override {
            const ConnectionId id(++m_last_id);
            m_links[id] = {};
            ++m_dials[endpoint.ip];
            m_internet.Post([this, id, endpoint] { m_internet.Dial(*this, id, endpoint); });
            return id;
        }
        Result<Endpoint> Listen(const Endpoint& endpoint) override {
            if (!m_internet.m_listeners.emplace(endpoint, this).second)
                return Fail(ErrorKind::kEnvironment, "address in use");
            return endpoint;
        }
        void Write(ConnectionId id, Bytes bytes) override {
            const auto found = m_links.find(id);
            if (found == m_links.end() || !found->second.open) return;
            found->second.pending += bytes.size();
            m_largest_write = std::max(m_largest_write, bytes.size());
            m_internet.Post([this, id, bytes = std::move(bytes)] { Move(id, bytes); });
        }
        size_t PendingBytes(ConnectionId id) const override {
            const auto found = m_links.find(id);
            return found == m_links.end() ? 0 : found->second.pending;
        }
        void SetReading(ConnectionId id, bool reading) override {
            const auto found = m_links.find(id);
            if (found == m_links.end()) return;
            found->second.reading = reading;
            m_internet.Post([this, id] { Read(id); });
        }
        void Close(ConnectionId id) override {
            const auto found = m_links.find(id);
            if (found == m_links.end()) return;
            const Link link = std::move(found->second);
            m_links.erase(found);
            if (link.open) m_internet.Post([link] { link.peer->PeerClosed(link.peer_id); });
        }
        bool IsOpen(ConnectionId id) const { return m_links.contains(id); }
        size_t dials_to(const Endpoint& any_port) const {
            const auto found = m_dials.find(any_port.ip);
            return found == m_dials.end() ? 0 : found->second;
        }
        size_t connections() const { return m_links.size(); }
        size_t largest_write() const { return m_largest_write; }
        void ForgetWrites() { m_largest_write = 0; }

      private:
        friend class MemoryInternet;
        struct Link {
            Node* peer{nullptr};
            ConnectionId peer_id;
            bool open{false};
            bool reading{true};
            size_t pending{0};
            Bytes unread;
        };
        void Move(ConnectionId id, const Bytes& bytes) {
            const auto found = m_links.find(id);
            if (found == m_links.end()) return;
            found->second.pending -= bytes.size();
            found->second.peer->Receive(found->second.peer_id, bytes);
            if (m_links.contains(id) && m_links[id].pending <= kLowWaterBytes) m_events->OnWritable(id);
        }
        void Receive(ConnectionId id, const Bytes& bytes) {
            const auto found = m_links.find(id);
            if (found == m_links.end()) return;
            found->second.unread.insert(found->second.unread.end(), bytes.begin(), bytes.end());
            Read(id);
        }
        void Read(ConnectionId id) {
            const auto found = m_links.find(id);
            if (found == m_links.end() || !found->second.reading || found->second.unread.empty()) return;
            const Bytes bytes = std::exchange(found->second.unread, {});
            m_events->OnBytes(id, bytes);
        }
        void PeerClosed(ConnectionId id) {
            if (m_links.erase(id) != 0) m_events->OnClosed(id, "closed by the peer");
        }

        MemoryInternet& m_internet;
        Endpoint m_address;
        NetworkEvents* m_events{nullptr};
        std::map<ConnectionId, Link> m_links;
        std::map<std::array<uint8_t, 16>, size_t> m_dials;
        size_t m_largest_write{0};
        uint64_t m_last_id{0};
    };

    // Runs what is under way until nothing is, or `limit` steps were made (false: something goes on for ever).
    bool Deliver(size_t limit = 100'000) {
        for (; !m_tasks.empty() && limit > 0; --limit) {
            const auto task = std::move(m_tasks.front());
            m_tasks.pop_front();
            task();
        }
        return m_tasks.empty();
    }

  private:
    void Post(std::function<void()> task) { m_tasks.push_back(std::move(task)); }
    void Dial(Node& from, ConnectionId id, const Endpoint& endpoint) {
        if (!from.m_links.contains(id)) return;
        const auto listener = m_listeners.find(endpoint);
        if (listener == m_listeners.end()) {
            from.m_links.erase(id);
            from.m_events->OnConnectFailed(id, "connection refused");
            return;
        }
        Node& to = *listener->second;
        const ConnectionId to_id(++to.m_last_id);
        from.m_links[id] = {&to, to_id, true, true, 0, {}};
        to.m_links[to_id] = {&from, id, true, true, 0, {}};
        to.m_events->OnAccepted(to_id, from.m_address);
        if (from.m_links.contains(id)) from.m_events->OnConnected(id);
    }

    std::deque<std::function<void()>> m_tasks;
    std::map<Endpoint, Node*> m_listeners;
};

}  // namespace sluice::p2p
