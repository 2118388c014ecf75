package gatewaytest

import (
	"context"
	"slices"
	"sync"
	"time"

	"admitone/gateway"
)

// Model decides as a store should, one call at a time, with plain maps and a
// clock that only its owner moves.
type Model struct {
	mu       sync.Mutex
	now      time.Time
	launches map[string]*modelLaunch
	// EntryKey is the key of an e-mail address on a launch's waitlist: the
	// address itself, unless it is set before the first join.
	EntryKey func(launch, email string) string
}

type modelLaunch struct {
	launch      gateway.Launch
	position    uint64
	codes       map[gateway.Code]*modelCode
	used        map[uint32]int // by campaign
	redemptions []*modelRedemption
	failures    []failure
	addresses   map[string]seenFrom
	paced       map[uint32][]time.Time // uses, by campaign
	entries     map[string]*modelEntry
	own         map[string]ownActs // by subject
	joins       []failure
	holds       []failure
	asked       []failure // of those who were on the list, without their proof
	arrivals    uint64
	releases    map[string]*gateway.Cohort
	schedule    gateway.Schedule
	members     map[string]*modelMember // by subject, who got more than admission
	payments    map[string]*modelPayment
	earnings    map[string]*modelEarning // by subject
}

type modelCode struct {
	gateway.NewCode
	campaign   uint32
	used, held int
	revoked    bool
	minted     bool // by a member, from the allotment
}

type modelRedemption struct {
	gateway.Redemption
	proof string
}

type failure struct {
	at               time.Time
	address, subject string
}

type seenFrom struct {
	subject string
	at      time.Time
}

// NewModel makes an empty model whose clock stands at now.
func NewModel(now time.Time) *Model {
	return &Model{
		now: now.UTC().Truncate(time.Millisecond), launches: map[string]*modelLaunch{},
		EntryKey: func(_, email string) string { return email },
	}
}

// SetClock moves the model's one clock as far as the launch's goes ahead.
func (m *Model) SetClock(_ context.Context, name string, ahead time.Duration, _ gateway.Actor) (*gateway.Launch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return nil, err
	}
	if ahead < l.launch.Ahead {
		return nil, gateway.Refuse(gateway.Conflict)
	}
	m.now = m.now.Add(ahead - l.launch.Ahead)
	l.launch.Ahead = ahead
	l.launch.Version++
	l.position++
	return l.snapshot(), nil
}

// Now is the model's clock.
func (m *Model) Now(context.Context, string) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now, nil
}

func (m *Model) find(name string) (*modelLaunch, error) {
	l := m.launches[name]
	if l == nil {
		return nil, gateway.Refuse(gateway.LaunchUnknown)
	}
	return l, nil
}

func (l *modelLaunch) snapshot() *gateway.Launch {
	s := l.launch
	s.SetCampaigns(slices.Clone(l.launch.Campaigns))
	return &s
}

// CreateLaunch makes a launch, open.
func (m *Model) CreateLaunch(_ context.Context, p gateway.Policy, _ gateway.Actor) (*gateway.Launch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.launches[p.Launch] != nil {
		return nil, gateway.Refuse(gateway.LaunchExists)
	}
	l := &modelLaunch{
		launch:   gateway.Launch{Name: p.Launch, Version: 1, Open: true, Policy: p},
		position: 1, codes: map[gateway.Code]*modelCode{}, used: map[uint32]int{}, addresses: map[string]seenFrom{}, members: map[string]*modelMember{}, payments: map[string]*modelPayment{}, earnings: map[string]*modelEarning{},
		own: map[string]ownActs{}, paced: map[uint32][]time.Time{}, entries: map[string]*modelEntry{}, releases: map[string]*gateway.Cohort{},
	}
	m.launches[p.Launch] = l
	return l.snapshot(), nil
}

func (m *Model) putLaunch(name string, version uint64, change func(*gateway.Launch)) (*gateway.Launch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return nil, err
	}
	if version != 0 && version != l.launch.Version {
		return nil, gateway.Refuse(gateway.Conflict)
	}
	change(&l.launch)
	l.launch.Version++
	l.position++
	return l.snapshot(), nil
}

// PutPolicy replaces the policy.
func (m *Model) PutPolicy(_ context.Context, p gateway.Policy, version uint64, _ gateway.Actor) (*gateway.Launch, error) {
	return m.putLaunch(p.Launch, version, func(l *gateway.Launch) { l.Policy = p })
}

// SetOpen opens or closes the launch.
func (m *Model) SetOpen(_ context.Context, name string, open bool, _ gateway.Actor) (*gateway.Launch, error) {
	return m.putLaunch(name, 0, func(l *gateway.Launch) { l.Open = open })
}

// Launch is the launch as it is now.
func (m *Model) Launch(_ context.Context, name string) (*gateway.Launch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return l.snapshot(), nil
}

// CreateCampaign makes a campaign.
func (m *Model) CreateCampaign(_ context.Context, name string, c gateway.Campaign, _ gateway.Actor) (*gateway.Campaign, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return nil, err
	}
	if c.State == "" {
		c.State = gateway.CampaignActive
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if l.launch.FindCampaign(c.Name) != nil {
		return nil, gateway.Refuse(gateway.CampaignExists)
	}
	c.ID, c.Number, c.Created = gateway.NewID(m.now), uint32(len(l.launch.Campaigns)+1), m.now
	l.launch.Campaigns = append(l.launch.Campaigns, &c)
	l.launch.Version++
	l.position++
	return &c, nil
}

// PutCampaign changes a campaign.
func (m *Model) PutCampaign(_ context.Context, name string, c gateway.Campaign, version uint64, _ gateway.Actor) (*gateway.Campaign, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return nil, err
	}
	if l.launch.Campaign(c.Number) == nil {
		return nil, gateway.Refuse(gateway.CampaignUnknown)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if version != 0 && version != l.launch.Version {
		return nil, gateway.Refuse(gateway.Conflict)
	}
	if other := l.launch.FindCampaign(c.Name); other != nil && other.Number != c.Number {
		return nil, gateway.Refuse(gateway.CampaignExists)
	}
	c.Succeed(l.launch.Campaigns[c.Number-1])
	l.launch.Campaigns[c.Number-1] = &c
	l.launch.Version++
	l.position++
	return &c, nil
}

// taken are the indexes of codes that exist already, or came before in the list.
func (l *modelLaunch) taken(codes []gateway.NewCode) (indexes []int) {
	met := map[gateway.Code]bool{}
	for i, c := range codes {
		if met[c.Code] || l.codes[c.Code] != nil {
			indexes = append(indexes, i)
		}
		met[c.Code] = true
	}
	return indexes
}

// Mint brings codes into being, all of them or none.
func (m *Model) Mint(_ context.Context, name string, campaign uint32, codes []gateway.NewCode, _ gateway.Actor) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return 0, err
	}
	if l.launch.Campaign(campaign) == nil {
		return 0, gateway.Refuse(gateway.CampaignUnknown)
	}
	if exist := l.taken(codes); exist != nil {
		return 0, &gateway.CodesExist{Indexes: exist}
	}
	for _, c := range codes {
		l.codes[c.Code] = &modelCode{NewCode: c, campaign: campaign}
	}
	l.position++
	return l.position, nil
}

// ChangeCodes changes codes, all of them or none.
func (m *Model) ChangeCodes(_ context.Context, name string, ch gateway.ChangeCodes) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return 0, err
	}
	var unknown []int
	for i, c := range ch.Codes {
		if l.codes[c] == nil {
			unknown = append(unknown, i)
		}
	}
	if unknown != nil {
		return 0, &gateway.CodesUnknown{Indexes: unknown}
	}
	for _, c := range ch.Codes {
		switch ch.Change {
		case gateway.Revoke:
			l.codes[c].revoked = true
		case gateway.Reinstate:
			l.codes[c].revoked = false
		case gateway.Renew:
			l.codes[c].ExpiresAt = ch.ExpiresAt
		}
	}
	l.position++
	return l.position, nil
}

// Code shows a code.
func (m *Model) Code(_ context.Context, name string, code gateway.Code) (gateway.CodeInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.CodeInfo{}, err
	}
	c := l.codes[code]
	if c == nil {
		return gateway.CodeInfo{}, gateway.Refuse(gateway.CodeUnknown)
	}
	info := gateway.CodeInfo{
		Code: code, Display: l.snapshot().Display(c.campaign, code, c.Display), Campaign: c.campaign, State: gateway.CodeActive,
		Used: c.used, Held: c.held, MaxUses: l.maxUses(c), ExpiresAt: c.ExpiresAt, Bound: c.Recipient != "", Issued: c.Issuer != "",
	}
	switch why, _ := m.codeRefusal(l, c); {
	case why == gateway.CodeRevoked:
		info.State = gateway.CodeIsRevoked
	case why == gateway.CodeExpired:
		info.State = gateway.CodeIsExpired
	case why == gateway.CodeNotStarted:
		info.State = gateway.CodeIsNotStarted
	case why == "" && c.used >= l.maxUses(c):
		info.State = gateway.CodeIsExhausted
	}
	return info, nil
}

func (l *modelLaunch) maxUses(c *modelCode) int {
	if c.MaxUses > 0 {
		return c.MaxUses
	}
	return l.launch.Campaign(c.campaign).MaxUses
}

// Position is the journal's length; a model's history is always persisted.
func (m *Model) Position(_ context.Context, name string) (gateway.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Position{}, err
	}
	return gateway.Position{Seq: l.position}, nil
}
