#pragma once

#include <string>
#include <string_view>

// What names in a manifest may be made of.

namespace sluice::content {

// True if `text` is well-formed UTF-8 (RFC 3629) without control characters (C0, DEL, C1), line and paragraph
// separators, and the marks that turn the direction of text (which make one name look like another).
bool IsPlainText(std::string_view text);
// Well-formed UTF-8 as file systems that tell neither case nor composition apart compare it: Unicode's full case
// folding in composed form (NFC), without the characters that nobody sees.
std::string FoldCase(std::string_view text);

}  // namespace sluice::content
