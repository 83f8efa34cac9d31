#include "apps/sluiced/child_process.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atomic>

namespace sluice::apps {
namespace {

node::ProgramRun Shell(const std::string& script, milliseconds timeout = seconds(20)) {
    node::ProgramRun run;
    run.arguments = {"sh", "-c", script};
    run.timeout = timeout;
    run.max_output_bytes = 1'000;
    return run;
}

TEST(ChildProcess, GivesWhatItWrote) {
    EXPECT_EQ(RunProgram(Shell("printf hello")).value(), ToBytes(AsBytes("hello")));
    EXPECT_EQ(RunProgram(Shell("exit 3")).error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(RunProgram({{"no-such-program"}}).error().kind, ErrorKind::kNotFound);
    EXPECT_EQ(RunProgram({{"../bin/sh"}}).error().kind, ErrorKind::kNotFound) << "a name, not a path";
}

TEST(ChildProcess, MoreOutputThanTheLimitEndsIt) {
    EXPECT_TRUE(RunProgram(Shell("head -c 1000 /dev/zero")));
    const auto large = RunProgram(Shell("head -c 1001 /dev/zero; sleep 100"));
    ASSERT_FALSE(large);
    EXPECT_NE(large.error().message.find("more than 1000 bytes"), std::string::npos) << large.error().message;
}

TEST(ChildProcess, OneThatHangsIsEndedAtItsTimeWhetherItsOutputIsOpenOrNot) {
    for (const char* script : {"sleep 100", "exec >&-; sleep 100", "exec >&-; while :; do :; done"}) {
        const auto hung = RunProgram(Shell(script, milliseconds(300)));
        ASSERT_FALSE(hung) << script;
        EXPECT_NE(hung.error().message.find("took longer than 300 ms"), std::string::npos) << hung.error().message;
    }
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "nothing is left to be waited for";
}

TEST(ChildProcess, TheNodesEndEndsItToo) {
    auto run = Shell("exec >&-; sleep 100");
    std::atomic<int> asked{0};
    run.keep_on = [&] { return ++asked < 5; };
    EXPECT_EQ(RunProgram(run).error().kind, ErrorKind::kUnavailable);
}

TEST(ChildProcess, MayWriteNoFileAndSeesNoOpenOnes) {
    const std::string path = testing::TempDir() + "sluice-child-process";
    (void)RunProgram(Shell("echo x > " + path));
    FILE* const file = fopen(path.c_str(), "r");
    if (file != nullptr) {
        EXPECT_EQ(fgetc(file), EOF) << "it wrote something";
        fclose(file);
        remove(path.c_str());
    }
    EXPECT_EQ(
        ToString(
            RunProgram(Shell("for f in 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$f ] && echo $f; done; true")).value()),
        "");
}

TEST(ChildProcess, RunsWhereTheNodeIsNicerThanIt) {
    const pid_t pid = fork();
    if (pid == 0) {
        setpriority(PRIO_PROCESS, 0, 15);
        _exit(RunProgram(Shell("printf ok")).has_value() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace sluice::apps
