#include "rpc/content_arguments.h"

namespace sluice::rpc {

RpcResult<ClaimId> ClaimArg(node::Node& node, const Call& call) {
    const auto claim = node.claims().Resolve(call.String("claim"));
    if (!claim) return RpcFail(claim.error());
    return *claim;
}

RpcResult<std::vector<std::string>> TextsArg(const Call& call, const std::string& name) {
    std::vector<std::string> texts;
    if (!call.Has(name)) return texts;
    for (const Json& text : call.Get(name)) {
        if (!text.is_string()) return RpcFail(RpcCode::kInvalidParameter, name + " must be an array of strings");
        texts.push_back(text.get<std::string>());
    }
    return texts;
}

Json ClaimJson(const node::Node& node, const node::ClaimInfo& info) {
    Json json = RecordJson(info.record, node.params().hrp);
    json.erase("type");
    json["claim"] = info.id.Hex();
    json["anchor"] = info.anchor.ToString();
    json["height"] = info.height.value;
    json["live"] = info.live;
    json["free"] = info.record.free_key.has_value();
    json["folder"] = info.record.manifest_chunks > 0;
    json["size"] = info.record.content.size_bytes;
    // What `buy --tier` takes, and how much it opens. Which files that are is sealed.
    const uint32_t chunks = content::ChunkCount(info.record.content.size_bytes);
    for (size_t i = 0; i < info.record.segments.size(); ++i) {
        const uint32_t first = info.record.segments[i].first_chunk;
        const uint32_t end = i + 1 < info.record.segments.size() ? info.record.segments[i + 1].first_chunk : chunks;
        json["segments"][i]["tier"] = i + 1;
        json["segments"][i]["chunks"] = end > first ? end - first : 0;
    }
    return json;
}

Json JobJson(const node::JobInfo& job) {
    static constexpr const char* kStates[] = {"running", "done", "failed"};
    Json json{{"job", job.id},
              {"kind", job.kind},
              {"subject", job.subject},
              {"state", kStates[static_cast<int>(job.state)]},
              {"version", job.version},
              {"progress",
               {{"phase", job.progress.phase},
                {"done", job.progress.done_bytes},
                {"total", job.progress.total_bytes},
                {"rate_bytes_per_s", job.progress.bytes_per_s},
                {"peers", job.progress.peers},
                {"paid", AmountJson(job.progress.paid)},
                {"fees", AmountJson(job.progress.fees)},
                {"estimated_cost", AmountJson(job.progress.estimated_cost)},
                {"waiting_for", job.progress.waiting_for}}}};
    if (job.error) json["message"] = job.error->message;
    if (job.state == node::JobState::kDone) json["result"] = job.result;
    return json;
}

RpcResult<Json> Started(const Result<node::JobId>& job) {
    if (!job) return RpcFail(job.error());
    return Json{{"job", *job}};
}

RpcResult<Json> WaitFor(node::Node& node, int64_t timeout_ms, const std::function<RpcResult<Json>()>& look,
                        const std::function<bool(const Json&)>& enough) {
    const Instant deadline = node.clock().Monotonic() + milliseconds(timeout_ms);
    for (uint64_t seen = node.events().last_sequence();;) {
        ASSIGN_OR_RETURN(Json answer, look());
        const Instant now = node.clock().Monotonic();
        if (enough(answer) || now >= deadline || node.IsStopping()) return answer;
        const auto events = node.events().Wait(seen, std::chrono::ceil<milliseconds>(deadline - now));
        if (!events.empty()) seen = events.back().sequence;
    }
}

}  // namespace sluice::rpc
