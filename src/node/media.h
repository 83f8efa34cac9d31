#pragma once

#include <string_view>

#include "node/environment.h"

// Previews and thumbnails of what is published, made by ffmpeg where it is installed. They are shown to everybody, so
// nothing of the original but its picture and sound goes into them: no metadata, no places, no names.

namespace sluice::node {

inline constexpr uint64_t kMaxThumbnailBytes = 256 << 10;
inline constexpr uint64_t kMaxPreviewBytes = uint64_t{64} << 20;
inline constexpr uint32_t kDefaultPreviewSeconds = 15;
inline constexpr uint32_t kMaxPreviewSeconds = 600;

enum class MediaKind { kOther, kImage, kVideo, kAudio };
// By the name's ending.
MediaKind MediaKindOf(std::string_view path);
// Whether these bytes begin like a picture that people's programs show: JPEG, PNG, GIF, WebP or AVIF.
bool IsPicture(ByteSpan bytes);

// Runs ffmpeg and ffprobe on one file: files alone, the demuxers of common formats alone, so that no list in a file can
// lead to another file or to a network. Blocks.
class MediaMaker {
  public:
    // `keep_on` false ends what runs.
    MediaMaker(const ProgramRunner& run, std::function<bool()> keep_on) : m_run(run), m_keep_on(std::move(keep_on)) {}

    // A JPEG within 512 x 512 pixels and kMaxThumbnailBytes: of an image, or of a video a tenth into it.
    Result<Bytes> Thumbnail(const std::string& path, MediaKind kind) const;
    // A fragmented MP4 of at most `seconds`, from a quarter into it, and never more than a quarter of the whole.
    Result<Bytes> Preview(const std::string& path, MediaKind kind, uint32_t seconds) const;

  private:
    Result<double> DurationSeconds(const std::string& path) const;
    Result<Bytes> Run(std::vector<std::string> arguments, milliseconds timeout, size_t max_output_bytes) const;

    const ProgramRunner& m_run;
    std::function<bool()> m_keep_on;
};

}  // namespace sluice::node
