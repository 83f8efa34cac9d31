#include "rpc/json_rpc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::rpc {
namespace {

using testing::HasSubstr;

class JsonRpcTest : public testing::Test {
  protected:
    JsonRpcTest() {
        m_table.Add({"join",
                     "test",
                     "Joins two words.",
                     {{"first", ArgType::kString, true, "one word"},
                      {"second", ArgType::kString, false, "another (default: none)"}},
                     "text",
                     [](const Call& call) -> RpcResult<Json> {
                         return Json(call.String("first") + "+" + call.String("second", "none"));
                     }});
        m_table.Add({"count",
                     "test",
                     "Takes a number from 1 to 10.",
                     {{"n", ArgType::kNumber, false, "how many (default 5)"}},
                     "number",
                     [](const Call& call) -> RpcResult<Json> {
                         ASSIGN_OR_RETURN(const int64_t n, call.Integer("n", 5, 1, 10));
                         return Json(n);
                     }});
        m_table.Add({"fail", "test", "Fails as the node does.", {}, "never", [](const Call&) -> RpcResult<Json> {
                         return RpcFail(Error{ErrorKind::kFunds, "the wallet has 1 SLU"});
                     }});
        m_table.Add({"throw", "test", "Has a fault.", {}, "never", [](const Call&) -> RpcResult<Json> {
                         throw std::runtime_error("broken");
                     }});
        m_table.Add(
            {"longpoll", "test", "Waits.", {}, "null", [](const Call&) -> RpcResult<Json> { return Json(); }, true});
        m_table.Add({"secret",
                     "test",
                     "For tests.",
                     {},
                     "null",
                     [](const Call&) -> RpcResult<Json> { return Json(); },
                     false,
                     true});
        m_table.Add({"typed",
                     "test",
                     "Has every type.",
                     {{"string", ArgType::kString, false, ""},
                      {"number", ArgType::kNumber, false, ""},
                      {"bool", ArgType::kBool, false, ""},
                      {"amount", ArgType::kAmount, false, ""},
                      {"hash", ArgType::kHash, false, ""},
                      {"object", ArgType::kObject, false, ""},
                      {"array", ArgType::kArray, false, ""},
                      {"any", ArgType::kAny, false, ""}},
                     "true",
                     [](const Call&) -> RpcResult<Json> { return Json(true); }});
    }
    Json Ask(const std::string& body) { return Json::parse(m_table.Handle(body).body); }
    int CodeOf(const std::string& method, const Json& params) {
        const auto result = m_table.Execute(method, params);
        return result ? 0 : static_cast<int>(result.error().code);
    }
    std::string MessageOf(const std::string& method, const Json& params) {
        const auto result = m_table.Execute(method, params);
        return result ? "" : result.error().message;
    }

    MethodTable m_table;
};

TEST_F(JsonRpcTest, AnswersVersion2WithItsIdAndNoErrorMember) {
    const Json answer = Ask(R"({"jsonrpc":"2.0","id":7,"method":"join","params":["a","b"]})");
    EXPECT_EQ(answer, Json::parse(R"({"jsonrpc":"2.0","id":7,"result":"a+b"})"));
}

TEST_F(JsonRpcTest, AnswersVersion1WithResultAndErrorMembers) {
    const Json answer = Ask(R"({"id":"x","method":"join","params":["a"]})");
    EXPECT_EQ(answer, Json::parse(R"({"id":"x","result":"a+none","error":null})"));
    const Json failed = Ask(R"({"id":"x","method":"fail"})");
    EXPECT_TRUE(failed["result"].is_null());
    EXPECT_EQ(failed["error"]["code"], -6);
    EXPECT_EQ(failed["error"]["message"], "the wallet has 1 SLU");
}

TEST_F(JsonRpcTest, HttpStatusFollowsBitcoinCore) {
    EXPECT_EQ(m_table.Handle(R"({"id":1,"method":"fail"})").status, 500);
    EXPECT_EQ(m_table.Handle(R"({"id":1,"method":"nothing"})").status, 404);
    EXPECT_EQ(m_table.Handle(R"({"id":1,"method":5})").status, 400);
    EXPECT_EQ(m_table.Handle(R"({"jsonrpc":"2.0","id":1,"method":"fail"})").status, 200);
    EXPECT_EQ(m_table.Handle("not json").status, 500);
}

TEST_F(JsonRpcTest, NamedAndPositionalArgumentsMeanTheSame) {
    EXPECT_EQ(*m_table.Execute("join", Json{{"second", "b"}, {"first", "a"}}), "a+b");
    EXPECT_EQ(*m_table.Execute("join", Json::array({"a", "b"})), "a+b");
    EXPECT_EQ(*m_table.Execute("join", Json::array({"a", nullptr})), "a+none");
    EXPECT_EQ(*m_table.Execute("count", Json()), 5);
}

TEST_F(JsonRpcTest, ArgumentErrorsNameTheArgument) {
    EXPECT_EQ(CodeOf("join", Json::array()), -32602);
    EXPECT_THAT(MessageOf("join", Json::array()), HasSubstr("first is missing"));
    EXPECT_EQ(CodeOf("join", Json::array({"a", "b", "c"})), -32602);
    EXPECT_THAT(MessageOf("join", Json::array({"a", "b", "c"})),
                HasSubstr("at most 2 arguments: join first ( second )"));
    EXPECT_EQ(CodeOf("join", Json{{"first", "a"}, {"third", "c"}}), -32602);
    EXPECT_THAT(MessageOf("join", Json{{"first", "a"}, {"third", "c"}}), HasSubstr("no argument 'third'"));
    EXPECT_EQ(CodeOf("join", Json::array({1})), -8);
    EXPECT_THAT(MessageOf("join", Json::array({1})), HasSubstr("first must be of type string"));
    EXPECT_EQ(CodeOf("join", "text"), -32600);
    EXPECT_EQ(CodeOf("nothing", Json()), -32601);
}

TEST_F(JsonRpcTest, IntegersAreHeldToTheirRange) {
    for (const Json& good : {Json(1), Json(10)}) EXPECT_EQ(*m_table.Execute("count", Json::array({good})), good);
    for (const Json& bad : {Json(0), Json(11), Json(-1), Json(UINT64_MAX), Json(INT64_MIN)}) {
        EXPECT_EQ(CodeOf("count", Json::array({bad})), -8);
        EXPECT_THAT(MessageOf("count", Json::array({bad})), HasSubstr("from 1 to 10"));
    }
    EXPECT_EQ(CodeOf("count", Json::array({2.5})), -8);
}

TEST_F(JsonRpcTest, EachTypeTakesItsValuesOnly) {
    const std::vector<Json> values{"text", 5, -5, 2.5, true, Json::object({{"a", 1}}), Json::array({1})};
    const std::vector<std::pair<std::string, std::vector<bool>>> accepted{
        {"string", {1, 0, 0, 0, 0, 0, 0}}, {"number", {0, 1, 1, 0, 0, 0, 0}}, {"bool", {0, 0, 0, 0, 1, 0, 0}},
        {"amount", {1, 1, 1, 1, 0, 0, 0}}, {"hash", {1, 0, 0, 0, 0, 0, 0}},   {"object", {0, 0, 0, 0, 0, 1, 0}},
        {"array", {0, 0, 0, 0, 0, 0, 1}},  {"any", {1, 1, 1, 1, 1, 1, 1}}};
    for (const auto& [name, good] : accepted)
        for (size_t i = 0; i < values.size(); ++i)
            EXPECT_EQ(CodeOf("typed", Json{{name, values[i]}}), good[i] ? 0 : -8) << name << " " << values[i];
}

TEST_F(JsonRpcTest, BatchAnswersEachInOrderAndNotificationsNot) {
    const Json answer = Ask(
        R"([{"jsonrpc":"2.0","id":1,"method":"join","params":["a"]},{"jsonrpc":"2.0","method":"join","params":["b"]},
                                {"jsonrpc":"2.0","id":2,"method":"nothing"}, 5])");
    ASSERT_EQ(answer.size(), 3u);
    EXPECT_EQ(answer[0]["result"], "a+none");
    EXPECT_EQ(answer[1]["error"]["code"], -32601);
    EXPECT_EQ(answer[2]["error"]["code"], -32600);
}

TEST_F(JsonRpcTest, NotificationsAloneAreAnsweredWithNothing) {
    for (const char* body : {R"({"jsonrpc":"2.0","method":"count"})", R"([{"jsonrpc":"2.0","method":"count"}])"}) {
        EXPECT_EQ(m_table.Handle(body).status, 204);
        EXPECT_EQ(m_table.Handle(body).body, "");
    }
}

TEST_F(JsonRpcTest, BatchSizeIsBoundedAtItsLimit) {
    const auto batch = [](size_t size) {
        Json requests = Json::array();
        for (size_t i = 0; i < size; ++i) requests.push_back({{"id", i}, {"method", "count"}});
        return requests.dump();
    };
    EXPECT_EQ(Ask(batch(MethodTable::kMaxBatch)).size(), MethodTable::kMaxBatch);
    EXPECT_EQ(Ask(batch(MethodTable::kMaxBatch + 1))["error"]["code"], -32600);
    EXPECT_EQ(Ask("[]")["error"]["code"], -32600);
}

TEST_F(JsonRpcTest, NestingIsBoundedAtItsLimit) {
    const auto nested = [](size_t depth) {  // as deep as the request's own object, its params and what is in them
        return R"({"id":1,"method":"typed","params":{"any":)" + std::string(depth - 2, '[') +
               std::string(depth - 2, ']') + "}}";
    };
    EXPECT_EQ(Ask(nested(MethodTable::kMaxNesting))["result"], true);
    EXPECT_EQ(Ask(nested(MethodTable::kMaxNesting + 1))["error"]["code"], -32700);
    EXPECT_EQ(Ask(nested(2'000'000))["error"]["code"], -32700);
    // Brackets in strings do not nest.
    EXPECT_EQ(Ask(R"({"id":1,"method":"join","params":["\")" + std::string(100, '[') + R"("]})")["error"], nullptr);
}

TEST_F(JsonRpcTest, BadRequestsAreErrorsNotFaults) {
    EXPECT_EQ(Ask("{")["error"]["code"], -32700);
    EXPECT_EQ(Ask("")["error"]["code"], -32700);
    EXPECT_EQ(Ask("5")["error"]["code"], -32600);
    EXPECT_EQ(Ask(R"({"jsonrpc":"2.0","id":1})")["error"]["code"], -32600);
    const Json structured_id = Ask(R"({"id":[1],"method":"count"})");
    EXPECT_EQ(structured_id["error"]["code"], -32600);
    EXPECT_TRUE(structured_id["id"].is_null());
}

TEST_F(JsonRpcTest, AFaultInAHandlerIsAnErrorToTheClient) {
    EXPECT_EQ(Ask(R"({"id":1,"method":"throw"})")["error"]["code"], -1);
}

TEST_F(JsonRpcTest, ErrorKindsHaveBitcoinCoresCodes) {
    const std::pair<ErrorKind, RpcCode> codes[] = {{ErrorKind::kInvalid, RpcCode::kInvalidParameter},
                                                   {ErrorKind::kNotFound, RpcCode::kNotFound},
                                                   {ErrorKind::kFunds, RpcCode::kInsufficientFunds},
                                                   {ErrorKind::kUnavailable, RpcCode::kUnavailable},
                                                   {ErrorKind::kEnvironment, RpcCode::kEnvironment}};
    for (const auto& [kind, code] : codes) EXPECT_EQ(RpcFail(Error{kind, "x"}).value().code, code);
}

TEST_F(JsonRpcTest, WaitsIsTrueIfAnyRequestMayWait) {
    EXPECT_TRUE(m_table.Waits(R"({"method":"longpoll"})"));
    EXPECT_TRUE(m_table.Waits(R"([{"method":"count"},{"method":"longpoll"}])"));
    EXPECT_FALSE(m_table.Waits(R"({"method":"count","params":["longpoll"]})"));
    EXPECT_FALSE(m_table.Waits("not json"));
}

TEST_F(JsonRpcTest, HelpListsEveryMethodButHiddenOnes) {
    const std::string help = *m_table.Execute("help", Json());
    for (const char* shown :
         {"== control ==", "== test ==", "join first ( second )", "Joins two words.", "help ( method )", "getmethods"})
        EXPECT_THAT(help, HasSubstr(shown));
    EXPECT_THAT(help, testing::Not(HasSubstr("secret")));
    EXPECT_THAT(m_table.Execute("help", Json::array({"hidden"}))->get<std::string>(), HasSubstr("secret"));
}

TEST_F(JsonRpcTest, HelpOfAMethodGivesArgumentsAndResult) {
    const std::string help = *m_table.Execute("help", Json::array({"join"}));
    for (const char* shown : {"1. first (string, required) one word", "2. second (string, optional)", "Result:\ntext"})
        EXPECT_THAT(help, HasSubstr(shown));
    EXPECT_EQ(CodeOf("help", Json::array({"nothing"})), -32601);
}

TEST_F(JsonRpcTest, GetmethodsDescribesArguments) {
    const Json methods = *m_table.Execute("getmethods", Json());
    EXPECT_EQ(methods["join"]["args"][0]["name"], "first");
    EXPECT_EQ(methods["join"]["args"][0]["type"], "string");
    EXPECT_EQ(methods["join"]["args"][1]["required"], false);
    EXPECT_FALSE(methods.contains("secret"));
}

}  // namespace
}  // namespace sluice::rpc
