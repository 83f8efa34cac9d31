#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "util/result.h"

namespace sluice::apps {

inline constexpr size_t kMaxEntryBytes = 16 * 1024 * 1024;
inline constexpr size_t kMaxEntryDepth = 64;

// One JSON object of an input, as text; if `error` is not empty the text is not to be used.
struct JsonEntry {
    uint64_t line{0};  // where it starts, from 1
    std::string text;
    std::string error;
};

// Cuts a stream into the JSON objects at its top level: JSON lines, and also one array of objects, written over any
// lines, or lines that keep an array's brackets and commas. A line that is no object becomes an entry with an error,
// and reading goes on with the next line. Holds at most one entry of kMaxEntryBytes.
//
//     between --'{'--> object --'}'--> after --newline or '{'--> (emit)
//        |               |               |
//        +---- anything else, too long --+--> skip line --newline--> (emit the error)
class JsonEntrySplitter {
  public:
    // Appends the entries that `bytes` complete.
    void Feed(std::string_view bytes, std::vector<JsonEntry>& entries);
    // Appends the last entry at the end of the stream.
    void Finish(std::vector<JsonEntry>& entries);

  private:
    enum class State { kBetween, kObject, kAfter, kSkipLine };

    void Between(char c);
    void Object(char c, std::vector<JsonEntry>& entries);
    void After(char c, std::vector<JsonEntry>& entries);
    void Start();
    void Spoil(const char* error);
    void Emit(std::vector<JsonEntry>& entries);

    State m_state{State::kBetween};
    JsonEntry m_entry;
    uint64_t m_line{1};
    size_t m_depth{0};
    bool m_in_string{false};
    bool m_escaped{false};
    bool m_line_start{false};  // only blanks since the last newline inside the object
};

// Reads every entry of `file` (standard input if empty or "-"), turns each into a line of output by `answer` and prints
// the answers in the order of the entries. `answer` runs on several threads at once and must not throw. What has been
// read is answered before more is waited for.
Status AnswerEntries(const std::string& file, const std::function<std::string(const JsonEntry&)>& answer);

}  // namespace sluice::apps
