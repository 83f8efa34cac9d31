#include "rpc/methods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "consensus/genesis.h"
#include "p2p/asio_executor.h"
#include "p2p/memory_network.h"
#include "storage/temp_folder.h"
#include "util/log.h"

// Every method of a whole node, on threads as the daemon has them: what it says about itself, and what it does with bad
// arguments.

namespace sluice::rpc {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uint64_t kTooLarge = UINT64_MAX;

// A node on regtest that stakes when it is told to, with the wallet that owns everything.
class Methods : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        s_world = new World();
        s_world->Start();
    }
    static void TearDownTestSuite() {
        delete s_world;
        s_world = nullptr;
    }

    struct World {
        void Start() {
            const Status logging = StartLog(folder / "log", LogLevel::kInfo, false);
            EXPECT_TRUE(logging);
            node::NodeConfig config;
            config.data_dir = folder.path();
            config.listen = false;
            config.regtest_staker = 0;
            config.mock_time_s = 1'767'225'600;  // genesis: no slot passes by itself
            auto opened = node::Node::Open(environment, clock, config);
            CHECK(opened.has_value());
            node = std::move(*opened);
            AddAllMethods(table, *node);
            const Status started = node->Start();
            CHECK(started.has_value());
            CHECK(table.Execute("restorewallet", Json::array({consensus::kRegtestPhrase})).has_value());
            CHECK(table.Execute("generateblocks", Json::array({3})).has_value());
        }
        void Stop() {
            node->Shutdown();
            for (p2p::ThreadPool* pool : {&long_tasks, &workers, &chain, &network_strand, &disk}) pool->Stop();
        }
        ~World() { Stop(); }

        TempFolder folder;
        SystemClock system_clock;
        node::AdjustableClock clock{system_clock};
        SystemRandom random;
        std::unique_ptr<storage::FileSystem> files = storage::MakePosixFileSystem();
        p2p::MemoryInternet internet;  // where nobody is
        p2p::MemoryInternet::Node network{internet, {}};
        p2p::ThreadPool network_strand{1, "network"}, chain{1, "chain"}, workers{2, "worker"}, long_tasks{1, "content"},
            disk{1, "disk"};
        node::Environment environment{clock, random, *files, network, network_strand, chain, workers, long_tasks, disk};
        std::unique_ptr<node::Node> node;
        MethodTable table;
    };

    static MethodTable& table() { return s_world->table; }
    static RpcResult<Json> Call(const std::string& method, const Json& params) {
        return table().Execute(method, params);
    }
    static std::string ErrorOf(const std::string& method, const Json& params) {
        const auto answer = Call(method, params);
        return answer ? "no error: " + answer->dump().substr(0, 200) : answer.error().message;
    }
    static Json Value(const std::string& method, const Json& params = nullptr) {
        const auto answer = Call(method, params);
        EXPECT_TRUE(answer) << method << ": " << (answer ? "" : answer.error().message);
        return answer ? *answer : Json();
    }

    // Every method, those for tests too, with what it says of itself.
    static std::map<std::string, const Method*> All() {
        std::map<std::string, const Method*> methods;
        const Json described = Value("getmethods");
        for (const auto& [name, description] : described.items()) methods[name] = table().Find(name);
        methods["setmocktime"] = table().Find("setmocktime");
        return methods;
    }
    static Json SampleOf(ArgType type) {
        switch (type) {
            case ArgType::kString:
                return "x";
            case ArgType::kNumber:
                return 1;
            case ArgType::kBool:
                return true;
            case ArgType::kAmount:
                return "1";
            case ArgType::kHash:
                return std::string(64, 'a');
            case ArgType::kObject:
                return Json::object();
            case ArgType::kArray:
                return Json::array();
            case ArgType::kAny:
                return nullptr;
        }
        return nullptr;
    }
    static bool Fits(const Json& value, ArgType type) {
        if (type == ArgType::kAny) return true;
        if (type == ArgType::kAmount) return value.is_string() || value.is_number();
        const Json sample = SampleOf(type);
        return type == ArgType::kNumber ? value.is_number_integer() : value.type() == sample.type();
    }
    // The method's required arguments, of the right types, and nothing that waits for long.
    static Json Samples(const Method& method) {
        Json params = Json::object();
        for (const ArgSpec& arg : method.args)
            if (arg.required || arg.name == "timeout")
                params[arg.name] =
                    arg.name == "to" || arg.name == "staker" ? Json("00112233445566ff") : SampleOf(arg.type);
        return params;
    }

    static World* s_world;
};

Methods::World* Methods::s_world = nullptr;

// ---- what they say

TEST_F(Methods, EveryMethodExplainsItselfAndHelpListsIt) {
    const std::set<std::string> categories{"blockchain", "mempool", "network", "wallet",
                                           "content",    "staking", "control"};
    const std::string listed = table().Help();
    const std::string hidden = table().Help("hidden").value();
    std::set<std::string> seen;
    for (const auto& [name, method] : All()) {
        ASSERT_NE(method, nullptr) << name;
        EXPECT_TRUE(categories.contains(method->category)) << name << ": " << method->category;
        EXPECT_TRUE(method->summary.ends_with(".")) << name << ": " << method->summary;
        EXPECT_EQ(method->summary.find('\n'), std::string::npos) << name;
        EXPECT_FALSE(method->result.empty()) << name;
        EXPECT_THAT(method->hidden ? hidden : listed, HasSubstr("\n" + name + " ")) << name;
        EXPECT_THAT(method->hidden ? listed : hidden, Not(HasSubstr("\n" + name + " "))) << name;
        const auto help = table().Help(name);
        ASSERT_TRUE(help) << name;
        EXPECT_THAT(*help, HasSubstr(method->summary));
        EXPECT_THAT(*help, HasSubstr(method->result));
        bool optional = false;
        for (const ArgSpec& arg : method->args) {
            EXPECT_FALSE(arg.description.empty()) << name << " " << arg.name;
            EXPECT_THAT(*help, HasSubstr(". " + arg.name + " (")) << name;
            EXPECT_THAT(*help, HasSubstr(arg.description)) << name;
            EXPECT_FALSE(optional && arg.required)
                << name << ": " << arg.name << " is required and comes after one that is not";
            optional = optional || !arg.required;
        }
        seen.insert(method->category);
    }
    EXPECT_EQ(seen, categories);
}

TEST_F(Methods, EveryMethodThatNeedsNoArgumentAnswers) {
    size_t called = 0;
    for (const auto& [name, method] : All()) {
        const bool needs_none =
            std::none_of(method->args.begin(), method->args.end(), [](const ArgSpec& arg) { return arg.required; });
        // Those that send a transaction depend on more than their arguments.
        const bool sends = name.ends_with("staker") && name != "getstaker";
        if (!needs_none || method->waits || sends || name == "releasebond" || name == "stop" || name == "createwallet")
            continue;
        if (name == "verifycontent") {  // an empty store is told of
            EXPECT_EQ(ErrorOf(name, nullptr), "there is nothing in the store to verify");
            continue;
        }
        Value(name);
        ++called;
    }
    EXPECT_GT(called, 20u);
}

TEST_F(Methods, ASecondWalletIsRefused) {
    EXPECT_EQ(Call("createwallet", nullptr).error().code, RpcCode::kWallet);
    EXPECT_EQ(Call("restorewallet", Json::array({consensus::kRegtestPhrase})).error().code, RpcCode::kWallet);
}

// ---- what they refuse

TEST_F(Methods, AnArgumentOfAnotherTypeIsRefusedByItsName) {
    const std::vector<Json> values{"text", 1, 1.5, true, Json::array({1}), Json{{"a", 1}}};
    size_t calls = 0;
    for (const auto& [name, method] : All()) {
        for (const ArgSpec& arg : method->args) {
            for (const Json& value : values) {
                if (Fits(value, arg.type)) continue;
                Json params = Samples(*method);
                params[arg.name] = value;
                const auto answer = Call(name, params);
                ASSERT_FALSE(answer) << name << " " << arg.name << " " << value;
                EXPECT_EQ(answer.error().code, RpcCode::kInvalidParameter) << name;
                // A number that is not whole may be told as one.
                EXPECT_THAT(answer.error().message,
                            AnyOf(StartsWith(arg.name + " must be of type "), StartsWith(arg.name + " is 1.5")))
                    << name;
                ++calls;
            }
        }
    }
    EXPECT_GT(calls, 200u);
}

TEST_F(Methods, AMissingAnUnknownAndASurplusArgumentAreNamed) {
    for (const auto& [name, method] : All()) {
        for (const ArgSpec& arg : method->args) {
            if (!arg.required) continue;
            Json params = Samples(*method);
            params.erase(arg.name);
            EXPECT_THAT(ErrorOf(name, params), StartsWith(arg.name + " is missing")) << name;
            params[arg.name] = nullptr;
            EXPECT_THAT(ErrorOf(name, params), StartsWith(arg.name + " is missing")) << name;
        }
        Json params = Samples(*method);
        params["no_such"] = 1;
        EXPECT_THAT(ErrorOf(name, params), HasSubstr("no argument 'no_such'")) << name;
        EXPECT_THAT(ErrorOf(name, Json(method->args.size() + 1, 1)), HasSubstr("at most")) << name;
    }
}

// What each number may be; both ends are tried, and one step beyond each.
struct Range {
    std::string method;
    Json others;
    std::string arg;
    int64_t least, most;
    bool try_most{true};  // false: it would take long
};

TEST_F(Methods, ANumberOutOfItsRangeIsRefusedByItsName) {
    const std::string genesis = Value("getblockhash", Json::array({0}));
    const std::string hash(64, 'a');
    const std::string address = Value("getnewaddress");
    const Json tip = Value("getblockcount");
    const std::vector<Range> ranges{
        {"getblockhash", {}, "height", 0, tip.get<int64_t>()},
        {"getblock", {{"blockhash", genesis}}, "verbosity", 0, 2},
        {"gettxout", {{"txid", hash}}, "n", 0, 0xffffffff},
        {"waitforblockheight", {{"timeout", 1}}, "height", 0, INT32_MAX},
        {"waitforblockheight", {{"height", 0}}, "timeout", 1, 600'000},
        {"generateblocks", {}, "count", 1, 10'000, false},
        {"waitevents", {{"timeout", 0}}, "after", 0, INT64_MAX},
        {"waitevents", {{"after", 0}}, "timeout", 0, 600'000},
        {"listtransactions", {}, "count", 1, 10'000},
        {"listtransactions", {}, "skip", 0, INT32_MAX},
        {"listclaims", {}, "count", 1, 1'000},
        {"listjobs", {}, "count", 1, 1'100},
        {"listclaims", {}, "skip", 0, INT32_MAX},
        {"sendtoaddress",
         {{"address", address}, {"amount", "1"}},
         "feerate",
         wallet::kMinFeePerKvb,
         wallet::kMaxFeePerKvb,
         false},
        {"setmocktime", {}, "timestamp", 0, 253'402'300'799, false},
    };
    for (const Range& range : ranges) {
        const auto call = [&](const Json& value) {
            Json params = range.others.is_null() ? Json::object() : range.others;
            params[range.arg] = value;
            return Call(range.method, params);
        };
        std::vector<Json> beyond{INT64_MIN, range.least - 1, kTooLarge};
        if (range.most < INT64_MAX) beyond.push_back(range.most + 1);
        for (const Json& value : beyond) {
            const auto answer = call(value);
            ASSERT_FALSE(answer) << range.method << " " << range.arg << " " << value;
            EXPECT_EQ(answer.error().code, RpcCode::kInvalidParameter) << range.method;
            EXPECT_THAT(answer.error().message, StartsWith(range.arg + " is " + value.dump())) << range.method;
        }
        if (range.method == "setmocktime") continue;  // either end would move the clock of the other tests
        EXPECT_TRUE(call(range.least)) << range.method << " " << range.arg;
        if (range.try_most) {
            EXPECT_TRUE(call(range.most)) << range.method << " " << range.arg;
        }
    }
    // What does not exist is not found, whatever its number; a number that cannot be is refused.
    for (const char* method : {"getjob", "waitjob", "stopjob"}) {
        EXPECT_EQ(Call(method, Json{{"job", 999}}).error().code, RpcCode::kNotFound);
        EXPECT_THAT(ErrorOf(method, Json{{"job", -1}}), StartsWith("job is -1"));
        EXPECT_THAT(ErrorOf(method, Json{{"job", kTooLarge}}), StartsWith("job is "));
    }
    EXPECT_THAT(ErrorOf("bumpfee", Json{{"txid", hash}, {"feerate", wallet::kMinFeePerKvb - 1}}),
                StartsWith("feerate is 999"));
    EXPECT_THAT(ErrorOf("getblockhash", Json{{"height", 0.5}}), HasSubstr("a whole one, not 0.5"));
    EXPECT_THAT(ErrorOf("waitpurchase", Json{{"purchase", hash + ":0"}, {"timeout", -1}}), StartsWith("timeout is -1"));
}

TEST_F(Methods, AHashAnOutpointAnAmountOrAHexTextThatIsNoneIsRefusedByItsName) {
    for (const auto& [name, method] : All()) {
        for (const ArgSpec& arg : method->args) {
            std::vector<std::string> wrong;
            if (arg.type == ArgType::kHash)
                wrong = {"", "x", std::string(63, 'a'), std::string(65, 'a'), std::string(63, 'a') + "g"};
            if (arg.name == "purchase")
                wrong = {
                    "",  "x", std::string(64, 'a'), std::string(64, 'a') + ":", std::string(64, 'a') + ":4294967296",
                    ":0"};
            if (arg.name == "hexstring") wrong = {"", "0", "zz", "00", std::string(2000, '0')};
            if (arg.name == "hexdata") wrong = {"", "0", "zz", "00"};
            for (const std::string& text : wrong) {
                Json params = Samples(*method);
                params[arg.name] = text;
                const auto answer = Call(name, params);
                ASSERT_FALSE(answer) << name << " " << arg.name << " '" << text << "'";
                // A block's fault is told as the block's.
                EXPECT_THAT(answer.error().message, AnyOf(HasSubstr(arg.name), StartsWith("the block "))) << name;
            }
        }
    }
    const std::string address = Value("getnewaddress");
    for (const Json& amount :
         std::vector<Json>{"-1", "", "one", "0.000000001", "21000000.00000001", 1e308, -1, kTooLarge, "1e3", "0x1"})
        EXPECT_THAT(ErrorOf("sendtoaddress", Json{{"address", address}, {"amount", amount}}), HasSubstr("amount"))
            << amount;
    for (const char* name : {"price", "seed_price", "ask"}) {
        Json params{{"path", "/nowhere"}, {"price", "1"}};
        params[name] = "-1";
        EXPECT_THAT(ErrorOf("publishcontent", params), HasSubstr(name));
    }
    for (const char* name : {"tags", "endpoints"}) {
        Json params{{"path", "/nowhere"}, {"price", "1"}};
        params[name] = Json::array({1});
        EXPECT_THAT(ErrorOf("publishcontent", params), HasSubstr(name));
    }
    EXPECT_THAT(ErrorOf("sendtoaddress", Json{{"address", "rslu1qqqq"}, {"amount", "1"}}), HasSubstr("address"));
    EXPECT_THAT(ErrorOf("publishcontent", Json{{"path", "relative"}, {"price", "1"}}), HasSubstr("path"));
}

// ---- nothing brings the node down

TEST_F(Methods, NoValueOfAnyArgumentBringsTheNodeDown) {
    const std::string long_text(1 << 16, 'a');
    const std::vector<Json> values{"",
                                   "\x01\x7f",
                                   "\xc3\x28",
                                   long_text,
                                   "../../etc/passwd",
                                   "/",
                                   "a:b:c",
                                   "[::1]:99999",
                                   "%s%n",
                                   INT64_MIN,
                                   INT64_MAX,
                                   kTooLarge,
                                   0,
                                   -1,
                                   1e308,
                                   -0.0,
                                   true,
                                   Json::array(),
                                   Json::array({Json::array(), nullptr}),
                                   Json::array({long_text}),
                                   Json::object(),
                                   nullptr};
    for (const auto& [name, method] : All()) {
        if (name == "stop" || name == "setmocktime") continue;
        for (const ArgSpec& arg : method->args) {
            for (const Json& value : values) {
                if (name == "generateblocks" && value.is_number() && value == 0) continue;
                Json params = Samples(*method);
                params[arg.name] = value;
                if (method->waits && arg.name == "timeout" && value.is_null()) continue;  // the default is a minute
                const Json request{{"jsonrpc", "2.0"}, {"id", 1}, {"method", name}, {"params", params}};
                const auto answer = table().Handle(request.dump(-1, ' ', false, Json::error_handler_t::replace));
                const Json parsed = Json::parse(answer.body, nullptr, false);
                ASSERT_TRUE(parsed.is_object()) << name << " " << arg.name;
                ASSERT_TRUE(parsed.contains("result") || parsed.contains("error")) << name << " " << arg.name;
                if (!parsed.contains("error")) continue;
                const std::string message = parsed["error"]["message"];
                EXPECT_FALSE(message.empty());
                EXPECT_EQ(message.find('\n'), std::string::npos) << name << ": " << message;
                EXPECT_EQ(message.find("internal error"), std::string::npos)
                    << name << " " << arg.name << ": " << message;
                EXPECT_LT(message.size(), 1'000u) << name << " " << arg.name << " echoes what it was given";
            }
        }
    }
    EXPECT_TRUE(Call("getblockchaininfo", nullptr));
    EXPECT_FALSE(s_world->node->IsStopping());
}

TEST(MethodsAtTheEnd, ACallAfterTheStrandsStoppedSaysThatTheNodeIsStopping) {
    p2p::ThreadPool pool(1, "strand");
    const auto answer = [&] { return node::CallOn(pool, []() -> Result<int> { return 7; }); };
    EXPECT_EQ(answer().value(), 7);
    pool.Stop();
    const auto late = answer();
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().kind, ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace sluice::rpc
