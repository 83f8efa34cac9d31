#include "fuzz.h"
#include "rpc/json_rpc.h"

namespace sluice::fuzz {
namespace {

using namespace rpc;

const MethodTable& TheMethods() {
    static const auto* table = [] {
        auto* made = new MethodTable;
        Method echo{"echo", "control", "Returns its arguments.", {}, "an object", {}};
        for (const auto& [name, type] :
             std::initializer_list<std::pair<const char*, ArgType>>{{"text", ArgType::kString},
                                                                    {"number", ArgType::kNumber},
                                                                    {"flag", ArgType::kBool},
                                                                    {"amount", ArgType::kAmount},
                                                                    {"hash", ArgType::kHash},
                                                                    {"object", ArgType::kObject},
                                                                    {"array", ArgType::kArray},
                                                                    {"any", ArgType::kAny}}) {
            echo.args.push_back({name, type, false, "default: none"});
        }
        echo.handler = [](const rpc::Call& call) -> RpcResult<Json> {
            NoteAccepted();
            const auto number = call.Integer("number", 0, -1000, 1000);
            if (!number) return RpcFail(number.error().code, number.error().message);
            return Json{{"text", call.String("text")}, {"flag", call.Bool("flag", false)}, {"number", *number}};
        };
        made->Add(std::move(echo));
        made->Add({"need",
                   "control",
                   "Needs one.",
                   {{"hash", ArgType::kHash, true, "which"}},
                   "the hash",
                   [](const rpc::Call& call) -> RpcResult<Json> { return Json(call.String("hash")); }});
        return made;
    }();
    return *table;
}

// Any body gets an answer that is JSON (or none, for notifications) and a status of HTTP.
void RunJsonRpc(ByteSpan input) {
    const std::string body = ToString(input);
    (void)TheMethods().Waits(body);
    const auto answer = TheMethods().Handle(body);
    CHECK(answer.status >= 200 && answer.status < 600);
    if (answer.body.empty()) return;
    const Json parsed = Json::parse(answer.body, nullptr, false);
    CHECK(!parsed.is_discarded());
    CHECK(parsed.is_object() || parsed.is_array());
}

std::vector<Seed> JsonRpcSeeds() {
    const auto text = [](const char* name, const char* body) { return Seed{name, ToBytes(AsBytes(body))}; };
    return {
        text("positions", R"({"jsonrpc":"2.0","id":1,"method":"echo","params":["a",5,true,1.25]})"),
        text("names",
             R"({"jsonrpc":"2.0","id":"x","method":"echo","params":{"number":-7,"object":{"a":[1,null]},"array":[]}})"),
        text("old-style", R"({"id":null,"method":"echo"})"),
        text(
            "batch",
            R"([{"jsonrpc":"2.0","id":1,"method":"help"},{"jsonrpc":"2.0","method":"echo"},{"id":2,"method":"none"},5])"),
        text(
            "need",
            R"({"id":1,"method":"need","params":["00000000000000000000000000000000000000000000000000000000000000ff"]})"),
        text("unicode", "{\"id\":1,\"method\":\"echo\",\"params\":[\"\\u00e9\\ud83d\\ude00 \xc3\xa9\"]}")};
}
const Register kJsonRpc{{"json_rpc", RunJsonRpc, JsonRpcSeeds}};

}  // namespace
}  // namespace sluice::fuzz
