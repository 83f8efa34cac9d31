#include <gtest/gtest.h>

#include "content/channel.h"
#include "storage/memory_disk.h"
#include "swarm_net.h"

// Copies of a voucher log: what a lost machine earned is settled from them and the phrase.

namespace sluice::content::testing {
namespace {

const BlockHash kGenesis{{4, 4}};

PayeeChannel Earned(uint32_t index, uint64_t paid) {
    PayeeChannel channel;
    channel.lock.outpoint.index = index;
    channel.lock.payer_key = TestKey(1).XOnly();
    channel.lock.payee_key = TestKey(2).XOnly();
    channel.lock.expiry = Height(500);
    channel.lock.capacity = Amount(1'000'000);
    channel.lock.return_script = KeyScript(3);
    channel.returned = Amount(1'000'000 - paid);
    channel.signature = SignVoucher(channel.lock, TestKey(1), channel.returned)->signature;
    channel.phase = ChannelPhase::kFinal;
    return channel;
}

struct Disk {
    Disk() { EXPECT_TRUE(disk.files().CreateDirectories("/a") && disk.files().CreateDirectories("/usb")); }
    std::unique_ptr<VoucherLog> Open(const std::string& path = "/a/vouchers") {
        auto log = VoucherLog::Open(disk.files(), path);
        EXPECT_TRUE(log) << log.error().message;
        return std::move(*log);
    }
    Result<VoucherBackup> Read(const BlockHash& genesis = kGenesis) {
        return ReadVoucherBackup(disk.files(), "/usb/copy", genesis, "/a/import");
    }
    storage::MemoryDisk disk{3};
};

TEST(VoucherBackup, TheCopyHasEveryVoucherWhenItsSaveReturns) {
    Disk machine;
    auto log = machine.Open();
    ASSERT_TRUE(log->Save(Earned(1, 1'000)));
    ASSERT_TRUE(log->KeepCopy("/usb/copy", kGenesis, {}));
    ASSERT_TRUE(log->Save(Earned(2, 2'000)));
    ASSERT_TRUE(log->Save(Earned(1, 9'000)));
    ASSERT_TRUE(log->Save(Earned(3, 5)));
    ASSERT_TRUE(log->Forget(Earned(3, 5).lock.outpoint));
    EXPECT_FALSE(log->copy_error());
    log.reset();
    machine.disk.Crash();
    const auto backup = machine.Read();
    ASSERT_TRUE(backup) << backup.error().message;
    EXPECT_EQ(backup->channels, (std::vector{Earned(1, 9'000), Earned(2, 2'000)}));
    EXPECT_TRUE(backup->seeds.empty());
}

TEST(VoucherBackup, StaysSmallThroughThousandsOfVouchers) {
    Disk machine;
    auto log = machine.Open();
    ASSERT_TRUE(log->KeepCopy("/usb/copy", kGenesis, {}));
    for (uint64_t i = 1; i <= 3'000; ++i) ASSERT_TRUE(log->Save(Earned(1, i)));
    EXPECT_LT(machine.disk.files().Stat("/usb/copy")->size_bytes, 600'000u);
    EXPECT_EQ(machine.Read()->channels, std::vector{Earned(1, 3'000)});
}

TEST(VoucherBackup, ANewMachineThatNamesItTakesOverWhatItHolds) {
    Disk machine;
    {
        auto lost = machine.Open("/a/lost");
        std::vector<SecretBytes<32>> seeds;
        seeds.emplace_back();
        seeds.back().data()[3] = 9;
        ASSERT_TRUE(lost->KeepCopy("/usb/copy", kGenesis, std::move(seeds)));
        ASSERT_TRUE(lost->Save(Earned(1, 9'000)));
        ASSERT_TRUE(lost->Save(Earned(2, 3'000)));
    }
    auto fresh = machine.Open();
    ASSERT_TRUE(fresh->Save(Earned(2, 4'000)));  // better than the copy's
    ASSERT_TRUE(fresh->KeepCopy("/usb/copy", kGenesis, {}));
    EXPECT_EQ(fresh->channels().at(Earned(1, 1).lock.outpoint), Earned(1, 9'000));
    EXPECT_EQ(fresh->channels().at(Earned(2, 1).lock.outpoint), Earned(2, 4'000));
    const auto backup = machine.Read();
    ASSERT_TRUE(backup);
    EXPECT_EQ(backup->channels.size(), 2u);
    ASSERT_EQ(backup->seeds.size(), 1u) << "the seed of the lost machine is kept too";
    EXPECT_EQ(backup->seeds[0].span()[3], 9);
}

TEST(VoucherBackup, WhatIsNoBackupOrOfAnotherNetworkIsRefusedAndLeftAsItIs) {
    Disk machine;
    EXPECT_EQ(machine.Read().error().kind, ErrorKind::kNotFound);
    const Bytes letter(1'000, 'x');
    ASSERT_TRUE(storage::WriteFileAtomically(machine.disk.files(), "/usb/copy", letter));
    EXPECT_FALSE(machine.Read());
    EXPECT_EQ(*storage::ReadWholeFile(machine.disk.files(), "/usb/copy", 10'000), letter);
    auto log = machine.Open();
    EXPECT_FALSE(log->KeepCopy("/usb/copy", kGenesis, {}));
    EXPECT_EQ(*storage::ReadWholeFile(machine.disk.files(), "/usb/copy", 10'000), letter);
    ASSERT_TRUE(log->Save(Earned(1, 1)));
    ASSERT_TRUE(log->WriteCopy("/usb/copy", kGenesis, {}));
    EXPECT_TRUE(machine.Read());
    EXPECT_FALSE(machine.Read(BlockHash{{5}}));
}

// Power fails at any write, of the log or of the copy: what Save returned for is in the log, and a copy that is there
// is whole.
TEST(VoucherBackup, PowerLossAtAnyWriteLosesNoVoucherThatWasSaved) {
    for (size_t writes = 0; writes < 40; ++writes) {
        Disk machine;
        uint64_t saved = 0;
        {
            auto log = machine.Open();
            ASSERT_TRUE(log->KeepCopy("/usb/copy", kGenesis, {}));
            machine.disk.FailAfterWrites(writes);
            for (uint64_t paid = 1'000; paid <= 20'000; paid += 1'000) {
                if (!log->Save(Earned(1, paid))) break;
                saved = paid;
            }
        }
        machine.disk.Crash();
        auto log = machine.Open();
        const auto found = log->channels().find(Earned(1, 1).lock.outpoint);
        const uint64_t kept = found == log->channels().end() ? 0 : found->second.Paid().drops;
        EXPECT_GE(kept, saved) << writes;
        const auto backup = machine.Read();
        ASSERT_TRUE(backup) << writes << ": " << backup.error().message;
        const uint64_t copied = backup->channels.empty() ? 0 : backup->channels[0].Paid().drops;
        EXPECT_LE(saved, copied + 1'000) << writes;
    }
}

TEST(PayeeSeeds, FindTheKeysOfOlderSeedsAndMakeNewOnesFromTheNewest) {
    const auto seed = [](uint8_t n) {
        SecretBytes<32> bytes;
        bytes.data()[0] = n;
        return bytes;
    };
    const crypto::X25519PublicKey payer{{1}};
    const ChannelSalt salt{{2}};
    PayeeSeeds seeds(seed(1));
    const XOnlyPubKey old_key = seeds.NewKey(kGenesis, payer, salt).XOnly();
    seeds.Add(seed(2));
    EXPECT_NE(seeds.NewKey(kGenesis, payer, salt).XOnly(), old_key);
    ASSERT_TRUE(seeds.Find(kGenesis, payer, salt, old_key));
    EXPECT_EQ(seeds.Find(kGenesis, payer, salt, old_key)->XOnly(), old_key);
    EXPECT_FALSE(PayeeSeeds(seed(2)).Find(kGenesis, payer, salt, old_key));
    EXPECT_TRUE(seeds.Clone().Find(kGenesis, payer, salt, old_key));
}

}  // namespace
}  // namespace sluice::content::testing
