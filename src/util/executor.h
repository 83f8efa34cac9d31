#pragma once

#include <functional>

#include "util/clock.h"

namespace sluice {

// Where work runs. Every object of the node belongs to one executor, named in its header; values are posted across.
// A strand executor runs one task at a time, in the order they were posted; a pool runs several at once.
// The simulator implements it with an event queue on a virtual clock.
class Executor {
  public:
    virtual ~Executor() = default;
    // Runs `task` soon, never inside this call. Thread-safe.
    virtual void Post(std::function<void()> task) = 0;
    // Runs `task` once `delay` has passed. Thread-safe. Tasks still waiting when the executor stops are dropped.
    virtual void PostAfter(milliseconds delay, std::function<void()> task) = 0;
};

}  // namespace sluice
