package rewrite

import (
	"hash/maphash"
	"sync/atomic"
)

// texts are the plans of whole texts that come again and again, as those of prepared statements and of drivers that parse each time do. A text with literals of its own comes
// once: so one is kept from the second time on that it is seen. There are no locks and no order of use: a text has two places, and what comes there next takes one of them.
type texts struct {
	kept [2 * textSets]atomic.Pointer[keptText]
	seen [4 * textSets]atomic.Uint32 // part of the hashes of what was asked for
}

const (
	// textSets is how many pairs of places there are: a power of two. With maxKeptText, it bounds what is kept: 32 MiB where every text and what becomes of it is as long
	// as can be, some 2 MiB of usual ones.
	textSets = 1 << 10
	// maxKeptText bounds the bytes of a plan's two texts and its spans together.
	maxKeptText = 16 << 10
)

type keptText struct {
	hash     uint64
	text     string
	settings string
	plan     *Plan
}

var textSeed = maphash.MakeSeed()

// Kept gives the plan that Keep has got for the same text under settings that plan alike; nil where there is none. It keeps nothing of the text. The settings must come
// from Keyed.
func (s *State) Kept(text string, set *Settings) *Plan {
	h := textHash(text, set)
	at := h & (textSets - 1) * 2
	for i := at; i < at+2; i++ {
		if k := s.texts.kept[i].Load(); k != nil && k.hash == h && k.text == text && k.settings == set.made {
			return k.plan
		}
	}
	return nil
}

// Keep keeps a plan of a text for Kept, where the text has been seen before and may name a migrating table. The plan must be what Plan gives for the text under these
// settings, which must come from Keyed. The text is copied where it is kept.
func (s *State) Keep(text string, set *Settings, p *Plan) {
	if p.Kind == Refuse || set.made == "" || len(text)+len(p.SQL)+48*len(p.spans) > maxKeptText {
		return
	}
	h := textHash(text, set)
	mark := max(1, uint32(h>>32))
	if seen := &s.texts.seen[h>>16&(4*textSets-1)]; seen.Load() != mark {
		seen.Store(mark)
		return
	}
	if !s.NamesTables(text) {
		return
	}
	k := &keptText{hash: h, text: p.text, settings: set.made, plan: p}
	if k.text != text {
		k.text = string([]byte(text))
	}
	// Its own place, or the other one where that is free and its own is not.
	at := h&(textSets-1)*2 + h>>63
	if old := s.texts.kept[at].Load(); old != nil && s.texts.kept[at^1].Load() == nil {
		at ^= 1
	}
	s.texts.kept[at].Store(k)
}

// textHash tells texts apart, and settings.
func textHash(text string, set *Settings) uint64 {
	return maphash.String(textSeed, text) ^ set.hash
}
