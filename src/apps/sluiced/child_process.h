#pragma once

#include "node/environment.h"

namespace sluice::apps {

// Runs a program of /usr/local/bin, /usr/bin or /bin as a child process: no shell, a fixed environment, nothing on its
// input, its error output dropped, no file descriptor of ours, a low priority; it may write no file, has 4 GiB of
// address space, and ends with us. See node::ProgramRunner.
Result<Bytes> RunProgram(const node::ProgramRun& run);

}  // namespace sluice::apps
