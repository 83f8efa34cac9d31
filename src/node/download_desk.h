#pragma once

#include <map>
#include <vector>

#include "node/swarm_service.h"

namespace sluice::node {

// Who asked for a download. Called on the network strand; may call the desk.
class DownloadClient {
  public:
    virtual ~DownloadClient() = default;
    virtual void OnProgress(const content::DownloadProgress& progress) = 0;
    // Whether it is whole now (with what was paid), or why it ended: either way the client's wishes for it are gone.
    virtual void OnEnded(const ContentId& content, const Result<Amount>& paid) = 0;
};

// Jobs and streams want parts of the same content at the same time; the swarm downloads each content once. The desk
// keeps what each of them wishes and tells the swarm what that makes together:
//   - everything is fetched while anybody wants all of it, else only what readers wait for;
//   - money is spent up to the highest limits that anybody who still waits has allowed.
// Belongs to the network strand.
class DownloadDesk final : public DownloadObserver {
  public:
    using WishId = uint64_t;
    struct Wish {
        ContentId content;
        content::DownloadLimits limits;
        Amount ask_per_mib;  // for what of it is served to others
        content::DownloadMode mode{content::DownloadMode::kWhole};
        bool keeps_price{true};  // of what is served already
    };

    explicit DownloadDesk(SwarmService& swarm) : m_swarm(swarm) {}

    // Starts the download, or joins it. `client` outlives the desk's use.
    Result<WishId> Join(const Wish& wish, DownloadClient& client);
    // The last one to leave stops the download. Unknown numbers are ignored.
    void Leave(WishId id);

    void OnDownloadProgress(const content::DownloadProgress& progress) override;
    void OnDownloadFinished(const content::DownloadFinished& finished) override;
    void OnDownloadFailed(const content::DownloadFailed& failed) override;

  private:
    struct Entry {
        Wish wish;
        DownloadClient* client;
    };
    using Wishes = std::map<WishId, Entry>;
    Wish Together(const ContentId& content) const;
    std::vector<DownloadClient*> ClientsOf(const ContentId& content) const;
    void End(const ContentId& content, const Result<Amount>& paid);

    SwarmService& m_swarm;
    std::map<ContentId, Wishes> m_wishes;
    std::map<WishId, ContentId> m_contents;
    WishId m_last{0};
};

}  // namespace sluice::node
