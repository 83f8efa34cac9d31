#include "apps/sluiced/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "consensus/genesis_file.h"
#include "node/conf_file.h"
#include "storage/memory_disk.h"

namespace sluice::apps {
namespace {

using node::ConfFile;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ConfFileTest, ReadsKeysSectionsAndComments) {
    const auto conf = ConfFile::Parse(
        "# first\n a = 1 \r\nb=x=y # not this\nc=#red\n\n[regtest]\na=2\nlist=1\nlist=2\n[ main ]\na=3\nlist=4", "f");
    ASSERT_TRUE(conf) << conf.error().message;
    EXPECT_EQ(conf->Value("a", "regtest"), "2");
    EXPECT_EQ(conf->Value("a", "main"), "3");
    EXPECT_EQ(conf->Value("a", "test"), "1");
    EXPECT_EQ(conf->Value("b", "main"), "x=y");
    EXPECT_EQ(conf->Value("c", "main"), "#red");
    EXPECT_EQ(conf->Value("d", "main"), std::nullopt);
    EXPECT_THAT(conf->Values("list", "regtest"), ElementsAre("1", "2"));
    EXPECT_THAT(conf->Values("a", "regtest"), ElementsAre("2", "1"));
}

TEST(ConfFileTest, ErrorsGiveFileAndLine) {
    const std::pair<const char*, const char*> table[] = {{"a=1\nnonsense", "f:2: 'nonsense' is not key=value"},
                                                         {"=1", "f:1: '=1' is not key=value"},
                                                         {"\n\n[", "f:3: '[' is not a section"},
                                                         {"[]", "f:1"},
                                                         {"-a=1", "f:1: write '-a' without the dash"}};
    for (const auto& [text, error] : table) {
        const auto conf = ConfFile::Parse(text, "f");
        ASSERT_FALSE(conf) << text;
        EXPECT_THAT(conf.error().message, HasSubstr(error));
    }
}

TEST(ConfFileTest, EmptyTextIsAnEmptyFile) { EXPECT_THAT(ConfFile::Parse("", "f")->entries(), IsEmpty()); }

TEST(ConfFileTest, ChainNamesCannotLeaveTheirFolder) {
    for (const char* good : {"regtest", "main", "my-net2", "a"}) EXPECT_TRUE(node::CheckChainName(good)) << good;
    for (const std::string& bad : {std::string(), std::string(".."), std::string("a/b"), std::string("A"),
                                   std::string("2a"), std::string(33, 'a')})
        EXPECT_FALSE(node::CheckChainName(bad)) << bad;
}

class OptionsTest : public testing::Test {
  protected:
    OptionsTest() { EXPECT_TRUE(m_disk.files().CreateDirectories("/data")); }
    void WriteConf(const std::string& text) {
        ASSERT_TRUE(storage::WriteFileAtomically(m_disk.files(), "/data/sluice.conf", AsBytes(text)));
    }
    Result<DaemonOptions> Parse(std::vector<std::string> args) {
        args.insert(args.begin(), "-datadir=/data");
        return ParseDaemonOptions(args, m_disk.files());
    }
    std::string ErrorOf(std::vector<std::string> args) {
        const auto options = Parse(std::move(args));
        return options ? "" : options.error().message;
    }

    storage::MemoryDisk m_disk{1};
};

TEST_F(OptionsTest, WithoutAnyTheDefaultsHold) {
    const auto options = Parse({});
    ASSERT_TRUE(options) << options.error().message;
    const node::NodeConfig& config = options->config;
    EXPECT_EQ(config.data_dir, "/data");
    EXPECT_EQ(config.ChainDir(), "/data/regtest");
    EXPECT_EQ(config.port, std::nullopt);
    EXPECT_EQ(config.rpc_port, std::nullopt);
    EXPECT_EQ(config.regtest_staker, std::nullopt);
    EXPECT_TRUE(config.listen);
}

TEST_F(OptionsTest, EveryOptionReachesItsField) {
    const auto options = Parse({"-port=0", "--rpcport=19999", "-bind=127.0.0.1", "-listen=0", "-connect=1.2.3.4:5",
                                "-addnode=a:1", "-addnode=b:2", "-maxconnections=7", "-debug", "-printtoconsole",
                                "-dbcache=100", "-staker=2", "-contentquota=3", "-seedprice=0.5", "-maxpricepermib=1",
                                "-mocktime=1700000000", "-par=2", "-rpcthreads=8"});
    ASSERT_TRUE(options) << options.error().message;
    const node::NodeConfig& config = options->config;
    EXPECT_EQ(config.port, 0);
    EXPECT_EQ(config.rpc_port, 19999);
    EXPECT_THAT(config.bind, ElementsAre("127.0.0.1"));
    EXPECT_FALSE(config.listen);
    EXPECT_THAT(config.connect, ElementsAre("1.2.3.4:5"));
    EXPECT_THAT(config.add_nodes, ElementsAre("a:1", "b:2"));
    EXPECT_EQ(config.max_peers, 7u);
    EXPECT_EQ(config.log_level, LogLevel::kDebug);
    EXPECT_TRUE(config.print_to_console);
    EXPECT_EQ(config.db_cache_bytes, 100u << 20);
    EXPECT_EQ(config.regtest_staker, 2u);
    EXPECT_EQ(config.content_quota_bytes, uint64_t{3} << 30);
    EXPECT_EQ(config.seed_price_per_mib.drops, kDropsPerSlu / 2);
    EXPECT_EQ(config.max_price_per_mib.drops, kDropsPerSlu);
    EXPECT_EQ(config.mock_time_s, 1'700'000'000);
    EXPECT_EQ(config.worker_threads, 2u);
    EXPECT_EQ(config.rpc_threads, 8u);
}

TEST_F(OptionsTest, TheCommandLineGoesBeforeTheSectionAndThatBeforeTheCommonLines) {
    WriteConf(
        "chain=regtest\nport=1\nrpcport=1\nmaxconnections=1\naddnode=common:1\n[regtest]\nport=2\nrpcport=2\naddnode="
        "own:1\n[main]\nport=3\naddnode=other:1\n");
    const auto options = Parse({"-port=4", "-addnode=line:1"});
    ASSERT_TRUE(options) << options.error().message;
    EXPECT_EQ(options->config.port, 4);
    EXPECT_EQ(options->config.rpc_port, 2);
    EXPECT_EQ(options->config.max_peers, 1u);
    EXPECT_THAT(options->config.add_nodes, ElementsAre("line:1", "own:1", "common:1"));
}

TEST_F(OptionsTest, TheLastOfARepeatedArgumentHolds) { EXPECT_EQ(Parse({"-port=1", "-port=2"})->config.port, 2); }

TEST_F(OptionsTest, FlagsAreTurnedOffByNoOrZero) {
    EXPECT_FALSE(Parse({"-nolisten"})->config.listen);
    EXPECT_FALSE(Parse({"-listen=0"})->config.listen);
    EXPECT_TRUE(Parse({"-nolisten=0"})->config.listen);
    EXPECT_NE(ErrorOf({"-listen=maybe"}), "");
    EXPECT_NE(ErrorOf({"-noport"}), "");
}

TEST_F(OptionsTest, NumbersAreBoundedOnBothSides) {
    EXPECT_EQ(Parse({"-port=65535"})->config.port, 65535);
    for (const char* bad : {"-port=65536", "-port=-1", "-port=", "-port=1x", "-port= 1", "-dbcache=3", "-rpcthreads=0",
                            "-rpcthreads=65", "-staker=4294967296", "-contentquota=0", "-port=99999999999999999999"})
        EXPECT_THAT(ErrorOf({bad}), HasSubstr(std::string(bad).substr(0, 5))) << bad;
}

TEST_F(OptionsTest, MistakesAreNamedAndPointToHelp) {
    EXPECT_THAT(ErrorOf({"-prot=1"}), HasSubstr("there is no option -prot: see sluiced --help"));
    EXPECT_THAT(ErrorOf({"-port"}), HasSubstr("-port needs a value: write -port=PORT"));
    EXPECT_THAT(ErrorOf({"getbalance"}), HasSubstr("'getbalance' is not an option"));
    EXPECT_THAT(ErrorOf({"-seedprice=1.123456789"}), HasSubstr("-seedprice"));
    EXPECT_THAT(ErrorOf({"-chain=../x"}), HasSubstr("is not a name of a chain"));
    EXPECT_THAT(ErrorOf({"-chain=main", "-mocktime=5"}), HasSubstr("-chain=regtest alone"));
    EXPECT_THAT(ErrorOf({"-chain=main", "-staker=0"}), HasSubstr("-chain=regtest alone"));
    EXPECT_THAT(ErrorOf({"-conf=/data/none.conf"}), HasSubstr("none.conf"));
}

TEST_F(OptionsTest, MistakesInTheFileAreNamedWithTheirLine) {
    const std::pair<const char*, const char*> table[] = {
        {"port=1\nprot=2\n", "sluice.conf:2: there is no option -prot"},
        {"port=x\n", "sluice.conf:1: -port=x"},
        {"[main]\nport=x\n", "sluice.conf:2: -port=x"},
        {"datadir=/x\n", "sluice.conf:1: datadir belongs on the command line"},
        {"[main]\nchain=main\n", "sluice.conf:2: chain belongs before the first section"}};
    for (const auto& [text, error] : table) {
        WriteConf(text);
        EXPECT_THAT(ErrorOf({}), HasSubstr(error));
    }
}

class CustomChainTest : public OptionsTest {
  protected:
    CustomChainTest() {
        m_genesis.params.network = "mynet";
        m_genesis.params.hrp = "my";
        m_genesis.params.magic = {1, 2, 3, 4};
        WriteGenesis("/data/my.genesis", consensus::EncodeGenesisFile(m_genesis));
    }
    void WriteGenesis(const std::string& path, ByteSpan bytes) {
        ASSERT_TRUE(storage::WriteFileAtomically(m_disk.files(), path, bytes));
    }
    consensus::Genesis m_genesis = consensus::BuiltInGenesis("regtest").value();
};

TEST_F(CustomChainTest, TakesNetworkAndFolderFromTheGenesisFile) {
    const auto options = Parse({"-chain=custom", "-genesis=/data/my.genesis"});
    ASSERT_TRUE(options) << options.error().message;
    EXPECT_EQ(options->config.chain, "mynet");
    EXPECT_EQ(options->config.ChainDir(), "/data/mynet");
    ASSERT_TRUE(options->config.genesis);
    EXPECT_EQ(options->config.genesis->Hash(), m_genesis.Hash());
    EXPECT_FALSE(Parse({})->config.genesis);
}

TEST_F(CustomChainTest, ReadsTheSectionOfItsOwnName) {
    WriteConf("chain=custom\ngenesis=/data/my.genesis\nport=1\n[mynet]\nport=2\n[custom]\nport=3\n");
    const auto options = Parse({});
    ASSERT_TRUE(options) << options.error().message;
    EXPECT_EQ(options->config.chain, "mynet");
    EXPECT_EQ(options->config.port, 2);
    // The command line's file goes before the one of the configuration.
    EXPECT_THAT(ErrorOf({"-genesis=/data/none"}), HasSubstr("/data/none"));
    // Another chain on the command line needs no file.
    EXPECT_EQ(Parse({"-regtest"})->config.chain, "regtest");
}

TEST_F(CustomChainTest, IsRefusedWithOneReasonWhereFileAndChainDoNotFit) {
    EXPECT_THAT(ErrorOf({"-chain=custom"}), HasSubstr("-chain=custom needs -genesis=FILE"));
    EXPECT_THAT(ErrorOf({"-chain=custom", "-genesis="}), HasSubstr("needs -genesis=FILE"));
    EXPECT_THAT(ErrorOf({"-genesis=/data/my.genesis"}), HasSubstr("-genesis belongs to -chain=custom"));
    EXPECT_THAT(ErrorOf({"-chain=custom", "-genesis=/data/none"}), HasSubstr("/data/none"));
    WriteGenesis("/data/bad", AsBytes("{}"));
    EXPECT_THAT(ErrorOf({"-chain=custom", "-genesis=/data/bad"}),
                HasSubstr("/data/bad: genesis: this is not a genesis"));
    WriteGenesis("/data/large", Bytes(consensus::kMaxGenesisFileBytes + 1));
    EXPECT_THAT(ErrorOf({"-chain=custom", "-genesis=/data/large"}), HasSubstr("over the limit of 1048576"));
    m_genesis.params.network = "main";
    WriteGenesis("/data/main", consensus::EncodeGenesisFile(m_genesis));
    EXPECT_THAT(ErrorOf({"-chain=custom", "-genesis=/data/main"}), HasSubstr("network 'main' is built in"));
    WriteConf("[mynet]\ngenesis=/data/my.genesis\n");
    EXPECT_THAT(ErrorOf({}), HasSubstr("genesis belongs before the first section"));
}

TEST_F(CustomChainTest, OptionsForTestsStayOnRegtest) {
    for (const char* option : {"-mocktime=5", "-staker=0", "-testnovouchers"})
        EXPECT_THAT(ErrorOf({"-chain=custom", "-genesis=/data/my.genesis", option}), HasSubstr("-chain=regtest alone"));
}

const std::string kHash(64, 'a');
const std::string kOtherHash(64, 'b');

TEST_F(OptionsTest, CheckpointsAreAllKept) {
    WriteConf("checkpoint=" + kOtherHash + ":4294967295\n");
    const auto options = Parse({"-checkpoint=" + kHash + ":1", "-checkpoint=" + kHash + ":1"});
    ASSERT_TRUE(options) << options.error().message;
    const auto is = [](const std::string& hash, uint32_t height) {
        return AllOf(Field(&chain::Checkpoint::hash, *BlockHash::FromHex(hash)),
                     Field(&chain::Checkpoint::height, Height(height)));
    };
    EXPECT_THAT(options->config.checkpoints, ElementsAre(is(kHash, 1), is(kHash, 1), is(kOtherHash, 4294967295)));
    EXPECT_THAT(Parse({})->config.checkpoints, ElementsAre(is(kOtherHash, 4294967295)));
}

TEST_F(OptionsTest, ACheckpointThatIsNoneIsNamed) {
    for (const std::string& bad : std::vector<std::string>{
             kHash, kHash + ":", kHash + ":0", kHash + ":4294967296", kHash + ":1x", kHash + ":-1", ":1",
             kHash.substr(1) + ":1", kHash + "a:1", std::string(64, 'g') + ":1", kHash + ";1", std::string()})
        EXPECT_THAT(ErrorOf({"-checkpoint=" + bad}), HasSubstr("-checkpoint=")) << bad;
    EXPECT_THAT(ErrorOf({"-checkpoint=" + kHash + ":7", "-checkpoint=" + kOtherHash + ":7"}),
                HasSubstr("another checkpoint has this height"));
}

TEST_F(OptionsTest, AssumeValidIsAHashOrNone) {
    EXPECT_EQ(Parse({})->config.assume_valid, std::nullopt);
    EXPECT_EQ(Parse({"-assumevalid=" + kHash})->config.assume_valid, BlockHash::FromHex(kHash));
    WriteConf("assumevalid=" + kHash + "\n");
    EXPECT_EQ(Parse({"-assumevalid=0"})->config.assume_valid, std::nullopt);
    for (const std::string& bad : {kHash.substr(1), kHash + "a", std::string("1"), std::string(64, 'x')})
        EXPECT_THAT(ErrorOf({"-assumevalid=" + bad}), HasSubstr("-assumevalid=")) << bad;
}

TEST_F(OptionsTest, HelpAndVersionReadNoFile) {
    WriteConf("nonsense");
    EXPECT_TRUE(Parse({"--help"})->show_help);
    EXPECT_TRUE(Parse({"-h"})->show_help);
    EXPECT_TRUE(Parse({"-version"})->show_version);
}

TEST_F(OptionsTest, HelpNamesEveryOption) {
    for (const char* name : {"-help", "-datadir=DIR", "-conf=FILE", "-chain=NAME", "-port=PORT", "-rpcport=PORT",
                             "-addnode=HOST:PORT", "-staker=INDEX", "-mocktime=SECONDS", "-dbcache=MIB",
                             "-genesis=FILE", "-checkpoint=HASH:HEIGHT", "-assumevalid=HASH"})
        EXPECT_THAT(HelpText(), HasSubstr(name));
}

}  // namespace
}  // namespace sluice::apps
