#pragma once

#include "primitives/ids.h"

namespace sluice::node {

// Who hears what is fetched and what is offered to everybody. Called on the network strand.
class ContentWatcher {
  public:
    virtual ~ContentWatcher() = default;
    // A download runs from now on; again for one that runs changes nothing.
    virtual void OnFetching(const ContentId& content) = 0;
    virtual void OnFetchEnded(const ContentId& content) = 0;
    // The operator seeds it (a download that is served while it lasts is not meant).
    virtual void OnSeeding(const ContentId& content) = 0;
    virtual void OnSeedingEnded(const ContentId& content) = 0;
};

}  // namespace sluice::node
