#include "apps/sluice_cli/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "apps/sluice_cli/format.h"

namespace sluice::apps {

using rpc::Json;

namespace {

constexpr int kPollMs = 10'000;
constexpr int kBusyStatus = -static_cast<int>(rpc::RpcCode::kUnavailable);
constexpr milliseconds kBusyPause{500};

// Draws a job's progress on stderr.
class ProgressLine {
  public:
    explicit ProgressLine(bool shown) : m_shown(shown), m_terminal(isatty(STDERR_FILENO)) {}
    ~ProgressLine() {
        if (m_drawn) std::fputs("\n", stderr);
    }
    void Show(const Json& job) {
        if (!m_shown) return;
        if (m_terminal) {
            std::fprintf(stderr, "\r%s %s\x1b[K", Bar(PercentOf(job)).c_str(), FormatProgress(job).c_str());
            std::fflush(stderr);
            m_drawn = true;
        } else if (const unsigned tenth = PercentOf(job) / 10; tenth > m_tenth) {
            m_tenth = tenth;
            std::fprintf(stderr, "%s\n", FormatProgress(job).c_str());
        }
    }

  private:
    static std::string Bar(unsigned percent) {
        constexpr size_t kWidth = 20;
        std::string bar(percent * kWidth / 100, '#');
        bar.resize(kWidth, '.');
        return "[" + bar + "]";
    }

    const bool m_shown;
    const bool m_terminal;
    bool m_drawn{false};
    unsigned m_tenth{0};
};

}  // namespace

void Session::Show(const Json& result, const std::string& text) const {
    const std::string shown = m_json ? result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n" : text;
    std::fwrite(shown.data(), 1, shown.size(), stdout);
}

void Session::Hint(const std::string& line) const {
    if (!m_json) std::fprintf(stderr, "%s\n", line.c_str());
}

CliResult<Json> Session::CallWaiting(const std::string& method, const Json& params, const std::string& otherwise,
                                     const Json& its_params) const {
    auto answer = Call(method, params);
    if (answer || answer.error().exit_status != kBusyStatus) return answer;
    // Rationale: the node has no thread left that may wait; what was started goes on, and giving up would look as if it
    // had failed.
    std::this_thread::sleep_for(kBusyPause);
    return Call(otherwise, its_params);
}

CliResult<Json> Session::WaitForJob(const Json& started) const {
    const Json id = Member(started, {"job"});
    if (id.is_null()) return CliFail("the node started no job: is it of another version?");
    ProgressLine progress(!m_json);
    uint64_t seen = 0;
    for (;;) {
        ASSIGN_OR_RETURN(Json job,
                         CallWaiting("waitjob", Json::array({id, kPollMs, seen}), "getjob", Json::array({id})));
        seen = NumberMember(job, {"version"});
        const std::string state = TextMember(job, {"state"});
        if (state == "failed") {
            const std::string reason = TextMember(job, {"message", "error"});
            return CliFail(reason.empty() ? fmt::format("job {} failed", FormatValue(id)) : reason);
        }
        progress.Show(job);
        if (state == "done") return job;
        if (state != "running")
            return CliFail(fmt::format("job {} is in the unknown state '{}'", FormatValue(id), state));
    }
}

CliResult<void> Session::WaitForConfirmations(const Json& txids) const {
    for (const Json& txid : txids) {
        uint64_t seen = 0;
        for (;;) {
            // The events are numbered before the transaction is looked up, so that a block in between is not missed.
            ASSIGN_OR_RETURN(const Json events, Call("waitevents", Json::array({seen, seen == 0 ? 0 : kPollMs})));
            seen = std::max<uint64_t>(NumberMember(events, {"last"}), 1);
            ASSIGN_OR_RETURN(const Json tx, Call("getrawtransaction", Json::array({txid, true})));
            if (NumberMember(tx, {"confirmations"}) > 0) break;
        }
    }
    return {};
}

CliResult<Json> Session::WaitForGrant(const Json& purchase) const {
    for (;;) {
        ASSIGN_OR_RETURN(Json answer, CallWaiting("waitpurchase", Json::array({purchase, kPollMs}), "getpurchase",
                                                  Json::array({purchase})));
        const std::string state = TextMember(answer, {"state"});
        if (state == "granted") return answer;
        if (state == "refunded") return CliFail("the seller did not grant in time: the money came back");
        if (state == "failed") {
            const std::string reason = TextMember(answer, {"message", "error"});
            return CliFail("the purchase failed" + (reason.empty() ? "" : ": " + reason));
        }
    }
}

}  // namespace sluice::apps
