#include "apps/sluiced/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>

namespace sluice::apps {
namespace {

constexpr rlim_t kMaxAddressSpaceBytes = rlim_t{4} << 30;
constexpr rlim_t kMaxOpenFiles = 64;
constexpr milliseconds kPollStep{100};
constexpr milliseconds kExitPoll{2};
constexpr int kNiceness = 10;

std::string FindProgram(const std::string& name) {
    if (name.empty() || name.find('/') != std::string::npos) return {};
    for (const char* folder : {"/usr/local/bin/", "/usr/bin/", "/bin/"}) {
        const std::string path = folder + name;
        if (access(path.c_str(), X_OK) == 0) return path;
    }
    return {};
}

void Limit(decltype(RLIMIT_CPU) what, rlim_t limit) {
    const rlimit value{limit, limit};
    if (setrlimit(what, &value) != 0) _exit(126);
}

// In the child, between fork and exec: only what is safe there.
[[noreturn]] void BecomeProgram(const char* path, char* const* arguments, int output, pid_t parent, rlim_t cpu_s) {
    static char path_variable[] = "PATH=/usr/bin:/bin", locale[] = "LC_ALL=C", home[] = "HOME=/nonexistent";
    static char* const environment[] = {path_variable, locale, home, nullptr};
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);  // it ended before the line above
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    const int nothing = open("/dev/null", O_RDWR);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(output, 1) < 0 || dup2(nothing, 2) < 0) _exit(126);
    if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0) {
        for (int fd = 3; fd < 65'536; ++fd) close(fd);
    }
    Limit(RLIMIT_CORE, 0);
    Limit(RLIMIT_FSIZE, 0);
    Limit(RLIMIT_AS, kMaxAddressSpaceBytes);
    Limit(RLIMIT_NOFILE, kMaxOpenFiles);
    Limit(RLIMIT_CPU, cpu_s);
    for (const int signal_number : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM}) std::signal(signal_number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (getpriority(PRIO_PROCESS, 0) < kNiceness && setpriority(PRIO_PROCESS, 0, kNiceness) != 0) _exit(126);
    execve(path, arguments, environment);
    _exit(127);
}

// Ends the child, however it stands, when it goes out of scope.
class Child {
  public:
    explicit Child(pid_t pid) : m_pid(pid) {}
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (m_pid <= 0) return;
        kill(-m_pid, SIGKILL);
        kill(m_pid, SIGKILL);
        Wait();
    }
    int Wait() {
        int status = 0;
        while (waitpid(m_pid, &status, 0) < 0 && errno == EINTR) {
        }
        m_pid = 0;
        return status;
    }
    // Its status once it has ended; nullopt while it runs.
    std::optional<int> Ended() {
        int status = 0;
        if (waitpid(m_pid, &status, WNOHANG) != m_pid) return std::nullopt;
        m_pid = 0;
        return status;
    }

  private:
    pid_t m_pid;
};

// Asked again and again while a program runs.
class Patience {
  public:
    explicit Patience(const node::ProgramRun& run)
        : m_run(run), m_deadline(std::chrono::steady_clock::now() + run.timeout) {}
    Status Check() const {
        if (m_run.keep_on && !m_run.keep_on())
            return Fail(ErrorKind::kUnavailable, m_run.arguments[0] + " was stopped");
        if (std::chrono::steady_clock::now() >= m_deadline)
            return Fail(fmt::format("{} took longer than {} ms", m_run.arguments[0], m_run.timeout.count()));
        return {};
    }

  private:
    const node::ProgramRun& m_run;
    const std::chrono::steady_clock::time_point m_deadline;
};

Status ReadAll(int fd, const node::ProgramRun& run, const Patience& patience, Bytes& output) {
    uint8_t buffer[64 << 10];
    for (;;) {
        RETURN_IF_ERROR(patience.Check());
        pollfd waiting{fd, POLLIN, 0};
        if (poll(&waiting, 1, static_cast<int>(kPollStep.count())) <= 0) continue;
        const ssize_t got = read(fd, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return {};
        if (output.size() + static_cast<size_t>(got) > run.max_output_bytes)
            return Fail(fmt::format("{} wrote more than {} bytes", run.arguments[0], run.max_output_bytes));
        output.insert(output.end(), buffer, buffer + got);
    }
}

}  // namespace

Result<Bytes> RunProgram(const node::ProgramRun& run) {
    const std::string path = FindProgram(run.arguments.at(0));
    if (path.empty()) return Fail(ErrorKind::kNotFound, run.arguments[0] + " is not installed");
    std::vector<char*> arguments;
    for (const std::string& argument : run.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Fail(ErrorKind::kEnvironment, "no pipe can be made for " + path);
    const rlim_t cpu_s = static_cast<rlim_t>(run.timeout.count() / 1000 + 1) * 4;
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) BecomeProgram(path.c_str(), arguments.data(), ends[1], parent, cpu_s);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return Fail(ErrorKind::kEnvironment, path + " cannot be started: too many processes, or no memory");
    }
    Child child(pid);
    Bytes output;
    const Patience patience(run);
    const Status read = ReadAll(ends[0], run, patience, output);
    close(ends[0]);
    RETURN_IF_ERROR(read);
    // It may have closed its output and go on.
    std::optional<int> ended;
    while (!(ended = child.Ended())) {
        RETURN_IF_ERROR(patience.Check());
        std::this_thread::sleep_for(kExitPoll);
    }
    const int status = *ended;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return Fail(fmt::format("{} failed on this file", run.arguments[0]));
    return output;
}

}  // namespace sluice::apps
