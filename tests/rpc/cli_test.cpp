#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/sluice_cli/command_line.h"
#include "apps/sluice_cli/format.h"
#include "apps/sluice_cli/rpc_client.h"
#include "consensus/genesis_file.h"
#include "rpc/http_server.h"
#include "storage/memory_disk.h"

namespace sluice::apps {
namespace {

using rpc::Json;
using testing::ElementsAre;
using testing::HasSubstr;

CliResult<CliOptions> Parse(const std::vector<std::string>& args) { return ParseCliOptions(args); }

TEST(CliOptionsTest, OptionsEndAtTheMethod) {
    const auto options =
        Parse({"-datadir=/d", "--chain", "regtest", "-rpcport=0", "-named", "getblock", "-json", "x=1"});
    ASSERT_TRUE(options) << options.error().message;
    EXPECT_EQ(options->data_dir, "/d");
    EXPECT_EQ(options->chain, "regtest");
    EXPECT_EQ(options->port, std::nullopt);
    EXPECT_TRUE(options->named);
    EXPECT_FALSE(options->json);
    EXPECT_EQ(options->method, "getblock");
    EXPECT_THAT(options->args, ElementsAre("-json", "x=1"));
}

TEST(CliOptionsTest, MistakesAreNamed) {
    const std::pair<std::vector<std::string>, const char*> table[] = {
        {{"-rpcprot=1", "help"}, "there is no option '-rpcprot=1'"},
        {{"-rpcport=65536", "x"}, "from 0 to 65535"},
        {{"-rpcport=x", "x"}, "from 0 to 65535"},
        {{"-datadir"}, "-datadir needs a value"},
        {{"-datadir="}, "-datadir needs a value"},
        {{"-named=2", "x"}, "give 1 or 0"}};
    for (const auto& [args, error] : table) {
        const auto options = Parse(args);
        ASSERT_FALSE(options) << error;
        EXPECT_THAT(options.error().message, HasSubstr(error));
    }
}

class FindNodeTest : public testing::Test {
  protected:
    FindNodeTest() {
        EXPECT_TRUE(m_disk.files().CreateDirectories("/d/regtest"));
        Write("/d/regtest/.cookie", "__cookie__:aa");
    }
    void Write(const std::string& path, const std::string& text) {
        ASSERT_TRUE(storage::WriteFileAtomically(m_disk.files(), path, AsBytes(text)));
    }
    CliResult<RpcTarget> Find(std::vector<std::string> args) {
        args.insert(args.begin(), "-datadir=/d");
        return FindNode(*ParseCliOptions(args), m_disk.files());
    }
    uint16_t PortOf(const std::vector<std::string>& args) {
        const auto target = Find(args);
        EXPECT_TRUE(target) << (target ? "" : target.error().message);
        return target ? target->port : 0;
    }
    storage::MemoryDisk m_disk{1};
};

TEST_F(FindNodeTest, ThePortIsThatOfTheCommandLineThenConfThenTheRunningNodeThenTheChain) {
    EXPECT_EQ(PortOf({}), 19443);
    Write("/d/regtest/endpoints.json", R"({"rpc":5001,"p2p":5002})");
    EXPECT_EQ(PortOf({}), 5001);
    Write("/d/sluice.conf", "rpcport=0\n");
    EXPECT_EQ(PortOf({}), 5001);
    Write("/d/sluice.conf", "rpcport=5003\naddnode=other:1\n");
    EXPECT_EQ(PortOf({}), 5003);
    EXPECT_EQ(PortOf({"-rpcport=5004"}), 5004);
    EXPECT_EQ(PortOf({"-rpcport=0"}), 5003);
}

TEST_F(FindNodeTest, CredentialsAreTheCookieOfTheChain) {
    EXPECT_EQ(Find({})->credentials, "__cookie__:aa");
    const auto none = Find({"-chain=other", "-rpcport=1"});
    ASSERT_FALSE(none);
    EXPECT_THAT(none.error().message, HasSubstr("cannot reach sluiced at 127.0.0.1:1"));
    EXPECT_THAT(none.error().message, HasSubstr("start it with: sluiced -datadir=/d -chain=custom -genesis=FILE"));
}

TEST_F(FindNodeTest, ACustomNetworkIsFoundByItsFileAndWhileItRunsByItsName) {
    consensus::Genesis genesis = consensus::BuiltInGenesis("regtest").value();
    genesis.params.network = "mynet";
    genesis.params.hrp = "my";
    genesis.params.magic = {1, 2, 3, 4};
    genesis.params.rpc_port = 23456;
    Write("/d/my.genesis", ToString(consensus::EncodeGenesisFile(genesis)));
    const std::vector<std::string> by_file{"-chain=custom", "-genesis=/d/my.genesis"};
    const std::vector<std::string> by_name{"-chain=mynet"};

    EXPECT_THAT(Find(by_file).error().message, HasSubstr("cannot reach sluiced at 127.0.0.1:23456"));
    EXPECT_THAT(Find(by_file).error().message, HasSubstr("-chain=custom -genesis=/d/my.genesis"));
    EXPECT_THAT(Find(by_name).error().message, HasSubstr("no sluiced of the network 'mynet' runs in /d"));

    ASSERT_TRUE(m_disk.files().CreateDirectories("/d/mynet"));
    Write("/d/mynet/.cookie", "__cookie__:bb");
    EXPECT_EQ(PortOf(by_file), 23456);
    Write("/d/mynet/endpoints.json", R"({"rpc":5001,"p2p":5002})");
    for (const auto& args : {by_file, by_name}) {
        EXPECT_EQ(PortOf(args), 5001);
        EXPECT_EQ(Find(args)->credentials, "__cookie__:bb");
    }
    EXPECT_THAT(Find({"-chain=custom"}).error().message, HasSubstr("needs -genesis=FILE"));
    EXPECT_THAT(Find({"-chain=regtest", "-genesis=/d/my.genesis"}).error().message, HasSubstr("-chain=custom"));
    EXPECT_THAT(Find({"-chain=main"}).error().message, HasSubstr("has not started"));
    Write("/d/sluice.conf", "chain=custom\ngenesis=/d/my.genesis\n[mynet]\nrpcport=5003\n");
    EXPECT_EQ(PortOf({}), 5003);
}

TEST_F(FindNodeTest, DamagedEndpointsAreToldNotTrusted) {
    for (const char* text : {"", "5", "{}", R"({"rpc":0})", R"({"rpc":65536})", R"({"rpc":"1"})"}) {
        Write("/d/regtest/endpoints.json", text);
        const auto target = Find({});
        ASSERT_FALSE(target) << text;
        EXPECT_THAT(target.error().message, HasSubstr("endpoints.json is damaged"));
    }
}

const Json kMethods = Json::parse(
    R"({"m":{"args":[{"name":"text","type":"string"},{"name":"n","type":"number"},{"name":"flag","type":"boolean"},
    {"name":"price","type":"amount"},{"name":"hash","type":"hex string"},{"name":"list","type":"array"},{"name":"any","type":"any"}]}})");

TEST(CliArgumentsTest, TakeTheDeclaredTypes) {
    const std::vector<std::string> args{"123", "123", "true", "1.10", "00ff", "[1,\"a\"]", "word"};
    const auto params = ConvertArguments(kMethods, "m", args, false);
    ASSERT_TRUE(params) << params.error().message;
    EXPECT_EQ(*params, Json::parse(R"(["123",123,true,"1.10","00ff",[1,"a"],"word"])"));
}

TEST(CliArgumentsTest, NamedArgumentsAreAnObject) {
    const std::vector<std::string> args{"price=2", "text=a=b", "n=-5"};
    EXPECT_EQ(*ConvertArguments(kMethods, "m", args, true), Json::parse(R"({"price":"2","text":"a=b","n":-5})"));
}

TEST(CliArgumentsTest, UnknownMethodsAndExtraArgumentsAreJsonWhereTheyParse) {
    EXPECT_EQ(*ConvertArguments(kMethods, "other", std::vector<std::string>{"5", "five", "{}"}, false),
              Json::parse(R"([5,"five",{}])"));
    EXPECT_EQ(ConvertArguments(kMethods, "m", std::vector<std::string>(8, "null"), false).has_value(), true);
}

TEST(CliArgumentsTest, MistakesNameTheArgument) {
    const std::pair<std::pair<std::vector<std::string>, bool>, const char*> table[] = {
        {{{"a", "b"}, false}, "n must be of type number, not 'b'"},
        {{{"n=b"}, true}, "n must be of type number"},
        {{{"5"}, true}, "'5' is not name=value"},
        {{{"n=1", "n=2"}, true}, "n is given twice"},
        {{{"a", std::string(70, '[') + std::string(70, ']')}, false}, "n must be of type number"}};
    for (const auto& [given, error] : table) {
        const auto params = ConvertArguments(kMethods, "m", given.first, given.second);
        ASSERT_FALSE(params) << error;
        EXPECT_THAT(params.error().message, HasSubstr(error));
    }
}

TEST(CliFormatTest, WhatOthersChoseCannotSteerTheTerminal) {
    EXPECT_EQ(Printable("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
              "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    EXPECT_EQ(Printable("\x1b[2Jx"), "?[2Jx");
    EXPECT_EQ(Printable("a\nb\tc\rd"), "a?b?c?d");
    EXPECT_EQ(Printable("a\nb\tc\rd", true), "a\nb\tc?d");
    EXPECT_EQ(Printable("\xc2\x9b"
                        "0m"),
              "?0m");  // CSI as one C1 character
    EXPECT_EQ(Printable("\xe2\x80\xae"
                        "gpj"),
              "?gpj");                                           // right-to-left override
    EXPECT_EQ(Printable("\xc0\xaf\xed\xa0\x80\xff"), "??????");  // overlong, surrogate, no UTF-8
    EXPECT_EQ(Printable("cut \xe2\x82"), "cut ??");
    EXPECT_EQ(FormatResult(Json("\x1b]0;title\x07")), "?]0;title?\n");
    EXPECT_THAT(FormatResult(Json{{"title",
                                   "\xc2\x9b"
                                   "0m"}}),
                HasSubstr("\"?0m\""));
}

TEST(CliFormatTest, ResultsAreBareStringsOrIndentedJson) {
    EXPECT_EQ(FormatResult(Json("bare")), "bare\n");
    EXPECT_EQ(FormatResult(Json(5)), "5\n");
    EXPECT_EQ(FormatResult(Json()), "");
    EXPECT_EQ(FormatResult(Json{{"a", 1}}), "{\n  \"a\": 1\n}\n");
}

TEST(CliFormatTest, SizesRoundToOnePlaceOfTheFittingUnit) {
    const std::pair<uint64_t, const char*> table[] = {{0, "0 B"},
                                                      {1023, "1023 B"},
                                                      {1024, "1.0 KiB"},
                                                      {64 << 20, "64.0 MiB"},
                                                      {(1 << 20) - 1, "1.0 MiB"},
                                                      {UINT64_MAX, "16.0 EiB"}};
    for (const auto& [bytes, text] : table) EXPECT_EQ(FormatSize(bytes), text);
    EXPECT_EQ(FormatDuration(59), "59 s");
    EXPECT_EQ(FormatDuration(60), "1 min 0 s");
    EXPECT_EQ(FormatDuration(7500), "2 h 5 min");
}

TEST(CliFormatTest, ProgressShowsWhatIsKnown) {
    const auto job = [](const char* progress) { return Json{{"progress", Json::parse(progress)}}; };
    const Json half =
        job(R"({"done":33554432,"total":67108864,"rate_bytes_per_s":16777216,"peers":2,"paid":"0.0013"})");
    EXPECT_EQ(PercentOf(half), 50u);
    EXPECT_EQ(FormatProgress(half), " 50 %  32.0 MiB of 64.0 MiB  16.0 MiB/s  2 s left  2 peers  paid 0.0013 SLU");
    EXPECT_EQ(FormatProgress(job(R"({"phase":"confirming","paid":"0","waiting_for":"a block"})")),
              "  0 %  confirming  waiting for a block");
    EXPECT_EQ(PercentOf(job(R"({"done":99,"total":100})")), 99u);
    EXPECT_EQ(PercentOf(job(R"({"done":200,"total":100})")), 100u);
    EXPECT_EQ(PercentOf(job(R"({"done":5,"total":0})")), 0u);
    EXPECT_EQ(PercentOf(Json()), 0u);
}

TEST(CliFormatTest, TablesAlignByCharacters) {
    EXPECT_EQ(FormatTable({{"A", "B"}, {"\xc3\xa9\xc3\xa9", "x"}, {"abc", "y"}}),
              "A    B\n\xc3\xa9\xc3\xa9   x\nabc  y\n");
}

TEST(CliFormatTest, ObjectsPutTheChosenMembersFirstAndLeaveEmptyOnesOut) {
    const Json object =
        Json::parse(R"({"b":[],"size":2048,"title":"T","z":"","tags":["x","y"],"a":null,"owned":true})");
    EXPECT_EQ(FormatObject(object, {"title", "missing"}),
              "Title:             T\nOwned:             yes\nSize:              2.0 KiB\nTags:              x, y\n");
}

TEST(ReadAnswerTest, ErrorsHaveBitcoinClisStatus) {
    const std::pair<int, int> table[] = {{-8, 8}, {-1, 1}, {-32601, 32601 % 256}, {-256, 1}, {0, 1}};
    for (const auto& [code, status] : table) {
        const auto answer =
            ReadAnswer(Json{{"result", nullptr}, {"error", {{"code", code}, {"message", "why"}}}}.dump());
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().message, "why");
        EXPECT_EQ(answer.error().exit_status, status);
    }
    EXPECT_EQ(*ReadAnswer(R"({"result":5,"error":null})"), 5);
    for (const char* bad : {"", "5", "{}", R"({"error":{}})", R"({"error":5})"}) EXPECT_FALSE(ReadAnswer(bad)) << bad;
}

TEST(RpcClientTest, CallsAServerOverItsSocket) {
    rpc::MethodTable table;
    table.Add({"echo",
               "test",
               "Echoes.",
               {{"text", rpc::ArgType::kString, true, "text"}},
               "text",
               [](const rpc::Call& call) -> rpc::RpcResult<Json> { return Json(call.String("text")); }});
    rpc::HttpServerOptions options;
    options.credentials = "__cookie__:aa";
    const auto handler = [&](const rpc::HttpRequest& request) -> rpc::HttpAnswer {
        auto answer = table.Handle(request.body);
        return {answer.status, std::move(answer.body)};
    };
    auto server = rpc::HttpServer::Start(options, handler,
                                         [&](const rpc::HttpRequest& request) { return table.Waits(request.body); });
    ASSERT_TRUE(server);
    RpcTarget target{"127.0.0.1", (*server)->port(), "__cookie__:aa", seconds(30), "sluiced -datadir=/d"};
    EXPECT_EQ(*RpcClient(target).Call("echo", Json::array({std::string(100'000, 'x')})), std::string(100'000, 'x'));
    EXPECT_EQ(RpcClient(target).Call("echo", Json::array()).error().exit_status, 32602 % 256);

    RpcTarget stranger = target;
    stranger.credentials = "__cookie__:bb";
    EXPECT_THAT(RpcClient(stranger).Call("echo", Json::array({"x"})).error().message, HasSubstr("refused the cookie"));

    (*server)->Stop();
    const auto refused = RpcClient(target).Call("echo", Json::array({"x"}));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("cannot reach sluiced at 127.0.0.1:" + std::to_string(target.port)));
    EXPECT_THAT(refused.error().message, HasSubstr("is it running? start it with: sluiced -datadir=/d"));
}

}  // namespace
}  // namespace sluice::apps
