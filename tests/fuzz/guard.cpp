#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "fuzz.h"

// What watches a run: signals, memory, coverage. Everything that a signal handler or an allocation touches is plain
// data.

namespace sluice::fuzz {
namespace {

char g_crash_path[4096];
char g_replay_hint[4096];
ByteSpan g_input;
volatile sig_atomic_t g_running = 0;
volatile sig_atomic_t g_seconds = 0;  // of the present run
std::atomic<size_t> g_live_bytes{0};
size_t g_allowed_bytes = SIZE_MAX;

std::array<uint8_t, kCoverageSlots> g_run_edges{};
std::array<uint8_t, kCoverageSlots> g_all_edges{};
uintptr_t g_last_edge = 0;
bool g_instrumented = false;

void Say(const char* text) { [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, std::strlen(text)); }

void WriteInput() {
    const int file = open(g_crash_path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (file < 0) {
        Say("\nthe input could not be written to ");
        Say(g_crash_path);
        Say("\n");
        return;
    }
    for (size_t done = 0; done < g_input.size();) {
        const ssize_t written = write(file, g_input.data() + done, g_input.size() - done);
        if (written <= 0) break;
        done += static_cast<size_t>(written);
    }
    close(file);
    Say("\nthe input is in ");
    Say(g_crash_path);
    Say("; replay it with: ");
    Say(g_replay_hint);
    Say("\n");
}

void OnFault(int signal) {
    if (g_running != 0) WriteInput();
    ::signal(signal, SIG_DFL);
    raise(signal);
}

void OnSecond(int) {
    if (g_running == 0) return;
    g_seconds = g_seconds + 1;
    if (g_seconds <= kHangSeconds) return;
    Say("\na run takes too long\n");
    WriteInput();
    ::signal(SIGABRT, SIG_DFL);
    abort();
}

}  // namespace

void InstallGuards(const std::string& crash_path, const std::string& replay_hint) {
    std::strncpy(g_crash_path, crash_path.c_str(), sizeof(g_crash_path) - 1);
    std::strncpy(g_replay_hint, replay_hint.c_str(), sizeof(g_replay_hint) - 1);
    static std::array<uint8_t, 1 << 16> stack;  // a stack overflow has no other
    stack_t alternative{};
    alternative.ss_sp = stack.data();
    alternative.ss_size = stack.size();
    sigaltstack(&alternative, nullptr);
    struct sigaction action {};
    action.sa_flags = SA_ONSTACK;
    action.sa_handler = OnFault;
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(signal, &action, nullptr);
    action.sa_handler = OnSecond;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    itimerval every_second{};
    every_second.it_interval.tv_sec = every_second.it_value.tv_sec = 1;
    setitimer(ITIMER_REAL, &every_second, nullptr);
}

void RunGuarded(const Target& target, ByteSpan input) {
    g_input = input;
    g_seconds = 0;
    g_allowed_bytes = g_live_bytes.load(std::memory_order_relaxed) + target.max_live_bytes;
    g_running = 1;
    target.run(input);
    g_running = 0;
    g_allowed_bytes = SIZE_MAX;
}

void StartCoverage() {
    if (!g_instrumented) return;
    g_run_edges.fill(0);
    g_last_edge = 0;
}

size_t NewCoverage() {
    size_t found = 0;
    if (!g_instrumented) return found;
    for (size_t i = 0; i < kCoverageSlots; ++i) {
        if (g_run_edges[i] == 0) continue;
        // Counts in powers of two: a loop that ran much more often is new too.
        const auto seen = static_cast<uint8_t>(1 << (31 - __builtin_clz(g_run_edges[i])));
        if ((seen & ~g_all_edges[i]) != 0) ++found;
        g_all_edges[i] |= seen;
    }
    return found;
}

namespace {

void CountAllocation(void* pointer) {
    const size_t live = g_live_bytes.fetch_add(malloc_usable_size(pointer), std::memory_order_relaxed);
    if (live <= g_allowed_bytes) return;
    g_allowed_bytes = SIZE_MAX;
    Say("\na run allocates more than its limit\n");
    abort();
}

}  // namespace
}  // namespace sluice::fuzz

extern "C" __attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc() {
    using namespace sluice::fuzz;
    const auto here = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
    uint8_t& count = g_run_edges[(here ^ g_last_edge) % kCoverageSlots];
    if (count != 255) ++count;
    g_last_edge = here >> 1;
    g_instrumented = true;
}

// A sanitizer brings its own allocator, and its own checks.
#if !defined(__SANITIZE_ADDRESS__)
void* operator new(size_t size) {
    void* pointer = std::malloc(size == 0 ? 1 : size);
    if (pointer == nullptr) std::abort();
    sluice::fuzz::CountAllocation(pointer);
    return pointer;
}
void operator delete(void* pointer) noexcept {
    if (pointer == nullptr) return;
    sluice::fuzz::g_live_bytes.fetch_sub(malloc_usable_size(pointer), std::memory_order_relaxed);
    std::free(pointer);
}
void* operator new[](size_t size) { return operator new(size); }
void operator delete(void* pointer, size_t) noexcept { operator delete(pointer); }
void operator delete[](void* pointer) noexcept { operator delete(pointer); }
void operator delete[](void* pointer, size_t) noexcept { operator delete(pointer); }
#endif
