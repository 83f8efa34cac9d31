#include "apps/sluice_util/json_entries.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

namespace sluice::apps {
namespace {

constexpr size_t kReadBytes = 1024 * 1024;
constexpr size_t kMaxThreads = 16;
constexpr size_t kEntriesWorthAThread = 4;

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// The input's descriptor, closed at the end unless it is standard input.
class InputFile {
  public:
    static Result<InputFile> Open(const std::string& file) {
        if (file.empty() || file == "-") return InputFile(STDIN_FILENO);
        const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
        if (descriptor < 0) return Fail(ErrorKind::kNotFound, "cannot open " + file + ": " + std::strerror(errno));
        return InputFile(descriptor);
    }
    InputFile(InputFile&& other) noexcept : m_descriptor(std::exchange(other.m_descriptor, STDIN_FILENO)) {}
    InputFile& operator=(InputFile&& other) noexcept {
        std::swap(m_descriptor, other.m_descriptor);
        return *this;
    }
    ~InputFile() {
        if (m_descriptor != STDIN_FILENO) ::close(m_descriptor);
    }

    // The number of bytes read; 0 at the end.
    Result<size_t> Read(char* into, size_t size) {
        for (;;) {
            const ssize_t got = ::read(m_descriptor, into, size);
            if (got >= 0) return static_cast<size_t>(got);
            if (errno != EINTR)
                return Fail(ErrorKind::kEnvironment, std::string("cannot read the input: ") + std::strerror(errno));
        }
    }

  private:
    explicit InputFile(int descriptor) : m_descriptor(descriptor) {}
    int m_descriptor{STDIN_FILENO};
};

std::vector<std::string> AnswerAll(const std::vector<JsonEntry>& entries,
                                   const std::function<std::string(const JsonEntry&)>& answer) {
    std::vector<std::string> answers(entries.size());
    std::atomic<size_t> next{0};
    const auto work = [&] {
        for (size_t i = next++; i < entries.size(); i = next++) answers[i] = answer(entries[i]);
    };
    const size_t cores = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMaxThreads);
    std::vector<std::thread> helpers;
    for (size_t i = 1; i < std::min(cores, entries.size() / kEntriesWorthAThread); ++i) helpers.emplace_back(work);
    work();
    for (std::thread& helper : helpers) helper.join();
    return answers;
}

Status Print(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
        std::fwrite(line.data(), 1, line.size(), stdout);
        std::fputc('\n', stdout);
    }
    if (!lines.empty() && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0))
        return Fail(ErrorKind::kEnvironment, "the output cannot be written: check the disk or the pipe it goes to");
    return {};
}

}  // namespace

void JsonEntrySplitter::Feed(std::string_view bytes, std::vector<JsonEntry>& entries) {
    for (const char c : bytes) {
        switch (m_state) {
            case State::kBetween:
                Between(c);
                break;
            case State::kObject:
                Object(c, entries);
                break;
            case State::kAfter:
                After(c, entries);
                break;
            case State::kSkipLine:
                if (c == '\n') Emit(entries);
                break;
        }
        if (c == '\n') ++m_line;
    }
}

void JsonEntrySplitter::Finish(std::vector<JsonEntry>& entries) {
    if (m_state == State::kObject) Spoil("the JSON object has no end");
    if (m_state != State::kBetween) Emit(entries);
}

void JsonEntrySplitter::Between(char c) {
    if (c == '\n' || IsBlank(c) || c == ',' || c == '[' || c == ']') return;
    Start();
    if (c != '{') Spoil("the line is not a JSON object");
}

void JsonEntrySplitter::Object(char c, std::vector<JsonEntry>& entries) {
    if (m_line_start && c == '{') {  // a new entry where this one should have gone on: this one was cut off
        Spoil("the JSON object has no end");
        Emit(entries);
        return Start();
    }
    if (c == '\n') {
        if (m_in_string) {
            Spoil("a JSON string has no end");
            return Emit(entries);
        }
        m_line_start = true;
    } else if (!IsBlank(c)) {
        m_line_start = false;
    }
    if (m_entry.text.size() >= kMaxEntryBytes) return Spoil("the JSON object is longer than 16 MiB");
    m_entry.text += c;
    if (m_in_string) {
        if (m_escaped) {
            m_escaped = false;
        } else if (c == '\\') {
            m_escaped = true;
        } else if (c == '"') {
            m_in_string = false;
        }
        return;
    }
    if (c == '"') m_in_string = true;
    if (c == '{' || c == '[') {
        if (++m_depth > kMaxEntryDepth) Spoil("the JSON object is nested more than 64 deep");
    }
    if (c == '}' || c == ']') {
        if (--m_depth == 0) m_state = State::kAfter;
    }
}

void JsonEntrySplitter::After(char c, std::vector<JsonEntry>& entries) {
    if (IsBlank(c) || c == ',' || c == ']') return;
    if (c == '\n' || c == '[') return Emit(entries);
    if (c == '{') {
        Emit(entries);
        return Start();
    }
    Spoil("something follows the JSON object");
}

void JsonEntrySplitter::Start() {
    m_entry = JsonEntry{m_line, "{", {}};
    m_state = State::kObject;
    m_depth = 1;
    m_in_string = m_escaped = m_line_start = false;
}

void JsonEntrySplitter::Spoil(const char* error) {
    m_entry.text = {};
    m_entry.error = error;
    m_state = State::kSkipLine;
}

void JsonEntrySplitter::Emit(std::vector<JsonEntry>& entries) {
    entries.push_back(std::move(m_entry));
    m_entry = {};
    m_state = State::kBetween;
}

Status AnswerEntries(const std::string& file, const std::function<std::string(const JsonEntry&)>& answer) {
    ASSIGN_OR_RETURN(InputFile input, InputFile::Open(file));
    JsonEntrySplitter splitter;
    std::vector<char> buffer(kReadBytes);
    for (;;) {
        ASSIGN_OR_RETURN(const size_t size, input.Read(buffer.data(), buffer.size()));
        std::vector<JsonEntry> entries;
        if (size == 0) {
            splitter.Finish(entries);
        } else {
            splitter.Feed({buffer.data(), size}, entries);
        }
        RETURN_IF_ERROR(Print(AnswerAll(entries, answer)));
        if (size == 0) return {};
    }
}

}  // namespace sluice::apps
