#include <gtest/gtest.h>

#include <thread>

#include "node/adjustable_clock.h"
#include "node/event_hub.h"
#include "node/jobs.h"
#include "node/swarm_store.h"
#include "storage/memory_disk.h"

// The small parts of the node, each alone.

namespace sluice::node {
namespace {

// ---- events

TEST(EventHub, NumbersEventsFromOneAndGivesThoseAfterANumber) {
    EventHub events;
    EXPECT_EQ(events.last_sequence(), 0u);
    EXPECT_TRUE(events.Wait(0, milliseconds(0)).empty());
    for (const char* subject : {"a", "b", "c"}) events.Publish("tip", subject, "x");
    EXPECT_EQ(events.last_sequence(), 3u);
    const auto after_one = events.Wait(1, milliseconds(0));
    ASSERT_EQ(after_one.size(), 2u);
    EXPECT_EQ(after_one[0].sequence, 2u);
    EXPECT_EQ(after_one[0].subject, "b");
    EXPECT_EQ(after_one[1].sequence, 3u);
    EXPECT_TRUE(events.Wait(3, milliseconds(0)).empty());
    EXPECT_TRUE(events.Wait(UINT64_MAX, milliseconds(0)).empty());
}

TEST(EventHub, SkipsWhatFellOut) {
    EventHub events;
    for (size_t i = 0; i < EventHub::kKept; ++i) events.Publish("tip", "", "");
    EXPECT_EQ(events.Wait(0, milliseconds(0)).front().sequence, 1u);
    events.Publish("tip", "", "");
    const auto all = events.Wait(0, milliseconds(0));
    EXPECT_EQ(all.size(), EventHub::kKept);
    EXPECT_EQ(all.front().sequence, 2u);
    EXPECT_EQ(events.Wait(EventHub::kKept, milliseconds(0)).size(), 1u);
}

TEST(EventHub, WakesWhoWaitsWhenSomethingHappensOrItCloses) {
    EventHub events;
    std::vector<NodeEvent> seen;
    std::thread waiter([&] { seen = events.Wait(0, seconds(60)); });
    events.Publish("peer", "1", "connected");
    waiter.join();
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].detail, "connected");
    std::thread late([&] { seen = events.Wait(1, seconds(60)); });
    events.Close();
    late.join();
    EXPECT_TRUE(seen.empty());
    EXPECT_TRUE(events.Wait(1, seconds(60)).empty());  // at once from now on
}

// ---- jobs

TEST(JobTable, AJobRunsUntilItEndsOnce) {
    EventHub events;
    JobTable jobs(events);
    const JobId job = jobs.Start("get").value();
    EXPECT_EQ(jobs.Find(job)->state, JobState::kRunning);
    EXPECT_EQ(jobs.Find(job)->version, 0u);
    JobProgress progress;
    progress.phase = "downloading";
    jobs.SetProgress(job, progress);
    EXPECT_EQ(jobs.Find(job)->progress.phase, "downloading");
    EXPECT_EQ(jobs.Find(job)->version, 1u);
    jobs.Finish(job, {{"path", "/a"}});
    jobs.Fail(job, {ErrorKind::kInvalid, "too late"});
    jobs.SetProgress(job, {});
    const JobInfo info = *jobs.Find(job);
    EXPECT_EQ(info.state, JobState::kDone);
    EXPECT_EQ(info.result.at("path"), "/a");
    EXPECT_FALSE(info.error);
    EXPECT_EQ(info.version, 2u);
    EXPECT_FALSE(jobs.Find(job + 1));
}

TEST(JobTable, EveryChangeIsAnEvent) {
    EventHub events;
    JobTable jobs(events);
    const JobId job = jobs.Start("get").value();
    jobs.SetProgress(job, {});
    jobs.Fail(job, {ErrorKind::kFunds, "poor"});
    const auto all = events.Wait(0, milliseconds(0));
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[1].topic, "job");
    EXPECT_EQ(all[1].subject, std::to_string(job));
    EXPECT_EQ(all[1].detail, "failed");
    EXPECT_EQ(jobs.Find(job)->error->kind, ErrorKind::kFunds);
}

TEST(JobTable, ListsTheNewestFirstWithWhatTheyAreAbout) {
    EventHub events;
    JobTable jobs(events);
    EXPECT_TRUE(jobs.List(10).empty());
    for (const char* path : {"/a", "/b", "/c"}) ASSERT_TRUE(jobs.Start("get", path));
    jobs.Finish(3, {});
    const std::vector<JobInfo> two = jobs.List(2);
    ASSERT_EQ(two.size(), 2u);
    EXPECT_EQ(two[0].subject, "/c");
    EXPECT_EQ(two[0].state, JobState::kDone);
    EXPECT_EQ(two[1].subject, "/b");
    EXPECT_EQ(jobs.List(4).size(), 3u);
}

TEST(JobTable, RefusesMoreThanItsLimitAtOnce) {
    EventHub events;
    JobTable jobs(events);
    for (size_t i = 0; i < JobTable::kMaxRunning; ++i) ASSERT_TRUE(jobs.Start("get"));
    const auto refused = jobs.Start("get");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
    jobs.Finish(1, {});
    EXPECT_TRUE(jobs.Start("get"));
}

TEST(JobTable, ForgetsTheOldestEndedJobsAndNoRunningOne) {
    EventHub events;
    JobTable jobs(events);
    const JobId running = jobs.Start("seed").value();
    const JobId first = jobs.Start("get").value();
    jobs.Finish(first, {});
    for (size_t i = 1; i < JobTable::kKept; ++i) jobs.Finish(jobs.Start("get").value(), {});
    EXPECT_TRUE(jobs.Find(first));
    jobs.Finish(jobs.Start("get").value(), {});
    EXPECT_FALSE(jobs.Find(first));
    EXPECT_TRUE(jobs.Find(first + 1));
    EXPECT_TRUE(jobs.Find(running));
}

// ---- clock

TEST(AdjustableClock, StandsStillAtItsMockTimeAndRunsWithoutOne) {
    ManualClock real;
    real.SetNow(UnixMillis(seconds(100)));
    AdjustableClock clock(real);
    EXPECT_FALSE(clock.IsMocked());
    real.Advance(seconds(5));
    EXPECT_EQ(clock.Now(), UnixMillis(seconds(105)));
    clock.SetMock(UnixMillis(seconds(7)));
    const Instant before = clock.Monotonic();
    real.Advance(seconds(5));
    EXPECT_TRUE(clock.IsMocked());
    EXPECT_EQ(clock.Now(), UnixMillis(seconds(7)));
    EXPECT_EQ(clock.Monotonic() - before, seconds(5));  // which always runs
    clock.SetMock(std::nullopt);
    EXPECT_EQ(clock.Now(), UnixMillis(seconds(110)));
}

// ---- what the swarm remembers

ContentId Content(uint8_t n) { return {CastHash<ContentRoot>(crypto::Sha256Of(Bytes{n})), 1'000u + n}; }

content::PayerChannel Channel(uint8_t n) {
    content::PayerChannel channel;
    channel.lock.outpoint = {CastHash<Txid>(crypto::Sha256Of(Bytes{n})), n};
    channel.lock.capacity = Amount(10'000);
    channel.lock.return_script = Script(34, n);
    channel.returned = Amount(9'000);
    channel.received_bytes = 77;
    return channel;
}

TEST(SwarmStore, WhatIsSeededSurvivesPowerLossAndCanBeForgotten) {
    storage::MemoryDisk disk(5);
    {
        const auto store = SwarmStore::Open(disk.files(), "/swarm").value();
        EXPECT_TRUE(store->Seeds().value().empty());
        ASSERT_TRUE(store->SaveSeed({Content(1), Amount(10)}));
        ASSERT_TRUE(store->SaveSeed({Content(2), Amount(20)}));
        ASSERT_TRUE(store->SaveSeed({Content(2), Amount(25)}));  // another price
        ASSERT_TRUE(store->SaveSeed({Content(3), Amount(30)}));
        ASSERT_TRUE(store->ForgetSeed(Content(1)));
        ASSERT_TRUE(store->ForgetSeed(Content(9)));  // never saved
        disk.Crash();
    }
    const auto store = SwarmStore::Open(disk.files(), "/swarm").value();
    std::map<ContentId, Amount> asks;
    const auto seeds = store->Seeds();
    ASSERT_TRUE(seeds);
    for (const SeededContent& seed : *seeds) asks[seed.content] = seed.ask_per_mib;
    EXPECT_EQ(asks, (std::map<ContentId, Amount>{{Content(2), Amount(25)}, {Content(3), Amount(30)}}));
}

TEST(SwarmStore, PayerChannelsAndVouchersSurviveARestart) {
    storage::MemoryDisk disk(6);
    content::PayerChannel changed = Channel(1);
    changed.returned = Amount(8'000);
    content::PayeeChannel earned;
    earned.lock = Channel(4).lock;
    earned.returned = Amount(5'000);
    {
        const auto store = SwarmStore::Open(disk.files(), "/swarm").value();
        ASSERT_TRUE(store->SavePayerChannel(Channel(1)));
        ASSERT_TRUE(store->SavePayerChannel(changed));
        ASSERT_TRUE(store->SavePayerChannel(Channel(2)));
        ASSERT_TRUE(store->vouchers().Save(earned));
        disk.Crash();
    }
    const auto store = SwarmStore::Open(disk.files(), "/swarm").value();
    const std::vector<content::PayerChannel> channels = store->PayerChannels().value();
    ASSERT_EQ(channels.size(), 2u);
    EXPECT_EQ(std::count(channels.begin(), channels.end(), changed), 1);
    EXPECT_EQ(std::count(channels.begin(), channels.end(), Channel(2)), 1);
    ASSERT_EQ(store->vouchers().channels().count(earned.lock.outpoint), 1u);
    EXPECT_EQ(store->vouchers().channels().at(earned.lock.outpoint), earned);
}

}  // namespace
}  // namespace sluice::node
