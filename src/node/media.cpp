#include "node/media.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace sluice::node {
namespace {

// What follows the program's name: no input but the file, and no format that names other files.
const std::vector<std::string> kSafely{
    "-v",
    "error",
    "-protocol_whitelist",
    "file,pipe",
    "-format_whitelist",
    "mov,matroska,webm,avi,mpegts,mpeg,ogg,flv,asf,mp3,flac,wav,aac,aiff,gif,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,"
    "tiff_pipe"};
constexpr milliseconds kProbeTimeout{15'000};
constexpr milliseconds kThumbnailTimeout{30'000};
constexpr milliseconds kPreviewTimeout{300'000};

std::string LowerEnding(std::string_view path) {
    const size_t slash = path.find_last_of('/');
    const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
    const size_t dot = name.find_last_of('.');
    std::string ending(dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1));
    for (char& c : ending)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    return ending;
}

template <size_t N>
bool Contains(const std::array<std::string_view, N>& list, std::string_view value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

// The demuxer of a picture by its name's ending; empty: ffmpeg finds it. Rationale: left to itself it takes a picture
// in a file for one of a numbered sequence, which is a list of files.
std::string PictureFormat(std::string_view path) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kFormats{{{"jpg", "jpeg_pipe"},
                                                                                            {"jpeg", "jpeg_pipe"},
                                                                                            {"png", "png_pipe"},
                                                                                            {"gif", "gif"},
                                                                                            {"webp", "webp_pipe"},
                                                                                            {"bmp", "bmp_pipe"},
                                                                                            {"tif", "tiff_pipe"},
                                                                                            {"tiff", "tiff_pipe"}}};
    const std::string ending = LowerEnding(path);
    for (const auto& [name, format] : kFormats)
        if (name == ending) return std::string(format);
    return {};
}

// An absolute path as an input that cannot be taken for an option or for another protocol.
std::string InputOf(const std::string& path) { return "file:" + path; }

}  // namespace

MediaKind MediaKindOf(std::string_view path) {
    static constexpr std::array<std::string_view, 8> kImages{"jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff"};
    static constexpr std::array<std::string_view, 14> kVideos{"mp4",  "m4v", "mov",  "mkv", "webm", "avi", "mpg",
                                                              "mpeg", "ts",  "m2ts", "ogv", "flv",  "wmv", "3gp"};
    static constexpr std::array<std::string_view, 8> kSounds{"mp3", "flac", "wav", "ogg", "opus", "m4a", "aac", "aiff"};
    const std::string ending = LowerEnding(path);
    if (Contains(kImages, ending)) return MediaKind::kImage;
    if (Contains(kVideos, ending)) return MediaKind::kVideo;
    if (Contains(kSounds, ending)) return MediaKind::kAudio;
    return MediaKind::kOther;
}

bool IsPicture(ByteSpan bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return text.starts_with("\xff\xd8\xff") || text.starts_with("\x89PNG\r\n\x1a\n") || text.starts_with("GIF8") ||
           (text.size() >= 12 && text.starts_with("RIFF") && text.substr(8, 4) == "WEBP") ||
           (text.size() >= 12 && (text.substr(4, 8) == "ftypavif" || text.substr(4, 8) == "ftypavis"));
}

Result<Bytes> MediaMaker::Run(std::vector<std::string> arguments, milliseconds timeout, size_t max_output_bytes) const {
    if (!m_run) return Fail(ErrorKind::kNotFound, arguments[0] + " cannot be run here");
    arguments.insert(arguments.begin() + 1, kSafely.begin(), kSafely.end());
    return m_run({std::move(arguments), timeout, max_output_bytes, m_keep_on});
}

Result<double> MediaMaker::DurationSeconds(const std::string& path) const {
    ASSIGN_OR_RETURN(const Bytes output,
                     Run({"ffprobe", "-show_entries", "format=duration", "-of", "default=nw=1:nk=1", InputOf(path)},
                         kProbeTimeout, 4096));
    const std::string text = ToString(output);
    double duration = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), duration);
    if (error != std::errc() || !(duration > 0 && duration < 1e7)) return Fail(path + " does not say how long it is");
    return duration;
}

Result<Bytes> MediaMaker::Thumbnail(const std::string& path, MediaKind kind) const {
    if (kind != MediaKind::kImage && kind != MediaKind::kVideo)
        return Fail(path + " has no picture to make a thumbnail of");
    double at = 0;
    if (kind == MediaKind::kVideo) {
        if (const auto duration = DurationSeconds(path)) at = *duration / 10;
    }
    Error last{ErrorKind::kInvalid, path + " gives no thumbnail"};
    for (const int side : {512, 256, 128}) {
        std::vector<std::string> arguments{"ffmpeg", "-nostdin"};
        if (const std::string format = PictureFormat(path); kind == MediaKind::kImage && !format.empty())
            arguments.insert(arguments.end(), {"-f", format});
        if (at > 0) arguments.insert(arguments.end(), {"-ss", fmt::format("{:.3f}", at)});
        arguments.insert(
            arguments.end(),
            {"-i", InputOf(path), "-map", "0:v:0", "-map_metadata", "-1", "-frames:v", "1", "-vf",
             fmt::format("scale=w='min({0},iw)':h='min({0},ih)':force_original_aspect_ratio=decrease", side), "-c:v",
             "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p", "-f", "mjpeg", "pipe:1"});
        auto picture = Run(std::move(arguments), kThumbnailTimeout, kMaxThumbnailBytes);
        if (picture && IsPicture(*picture)) return picture;
        if (!picture) last = picture.error();
        if (last.kind != ErrorKind::kInvalid) break;
    }
    return Fail(last);
}

Result<Bytes> MediaMaker::Preview(const std::string& path, MediaKind kind, uint32_t seconds) const {
    if (kind != MediaKind::kVideo && kind != MediaKind::kAudio) return Fail(path + " is neither video nor sound");
    ASSIGN_OR_RETURN(const double duration, DurationSeconds(path));
    const double length = std::min<double>(seconds, duration / 4);
    std::vector<std::string> arguments{
        "ffmpeg", "-nostdin",   "-ss", fmt::format("{:.3f}", duration / 4), "-t", fmt::format("{:.3f}", length),
        "-i",     InputOf(path)};
    if (kind == MediaKind::kVideo) {
        arguments.insert(arguments.end(),
                         {"-map", "0:v:0", "-vf",
                          "scale=w='min(640,iw)':h='min(480,ih)':force_original_aspect_ratio=decrease:"
                          "force_divisible_by=2",
                          "-c:v", "libx264", "-preset", "veryfast", "-crf", "28", "-pix_fmt", "yuv420p"});
    }
    arguments.insert(arguments.end(), {"-map", kind == MediaKind::kVideo ? "0:a:0?" : "0:a:0", "-c:a", "aac", "-b:a",
                                       "96k", "-ac", "2", "-map_metadata", "-1", "-map_chapters", "-1", "-movflags",
                                       "frag_keyframe+empty_moov+default_base_moof", "-fs",
                                       std::to_string(kMaxPreviewBytes - (1 << 20)), "-f", "mp4", "pipe:1"});
    ASSIGN_OR_RETURN(Bytes clip, Run(std::move(arguments), kPreviewTimeout, kMaxPreviewBytes));
    if (clip.empty()) return Fail(path + " gives no preview");
    return clip;
}

}  // namespace sluice::node
