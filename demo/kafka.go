package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// betweenTries is the pause before a server that failed, or another one, is asked again.
	betweenTries = 100 * time.Millisecond
	// answerWithin is what a server has for an answer, so that another one can be asked before the deadline.
	answerWithin = deadline / 4
	// giveUpAfter leaves time to tell why a record could not be written.
	giveUpAfter = deadline * 3 / 4
)

type kafka struct {
	settings kafkaEdge
	client   *kgo.Client
	produced atomic.Int64
	// turn is held by whoever uses the client, which reads at one place at a time.
	turn chan struct{}
}

func newKafka(settings kafkaEdge) (*kafka, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(settings.servers...),
		kgo.Dialer(settings.identity.dial),
		kgo.ClientID("demo"),
		kgo.DefaultProduceTopic(settings.topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// Else a record that was sent once can't be given up, and would go out when nobody waits for it any more.
		kgo.DisableIdempotentWrite(),
		// A record is smaller than what compression adds.
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		// Where a record isn't, another one is not what was asked for.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		// A server that waits for more records holds up what is asked on the same connection.
		kgo.FetchMaxWait(betweenTries),
		kgo.ProduceRequestTimeout(giveUpAfter-answerWithin),
		kgo.RequestTimeoutOverhead(answerWithin),
		kgo.RecordDeliveryTimeout(giveUpAfter),
		kgo.RetryBackoffFn(func(int) time.Duration { return betweenTries }),
		// Leaders move, and one that is frozen doesn't tell.
		kgo.MetadataMinAge(patience),
		kgo.MetadataMaxAge(deadline),
	)
	return &kafka{settings: settings, client: client, turn: make(chan struct{}, 1)}, err
}

func (k *kafka) name() string            { return k.settings.name }
func (k *kafka) kind() string            { return "kafka" }
func (k *kafka) hide(text string) string { return text }
func (k *kafka) close()                  { k.client.Close() }

// roundTrip appends a record, waits until all servers that are to have it do, and reads it where they put it.
func (k *kafka) roundTrip(ctx context.Context, nonce string) (trip, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return trip{}, ctx.Err()
	}
	done := trip{By: "record", Written: value{nonce, k.produced.Add(1)}}
	record, err := k.client.ProduceSync(ctx, kgo.StringRecord(done.Written.String())).First()
	if err != nil {
		return trip{}, err
	}
	done.Read, err = k.read(ctx, record.Partition, record.Offset)
	return done, err
}

// read gives the record at an offset of a partition; other instances write to the same one.
func (k *kafka) read(ctx context.Context, partition int32, offset int64) (value, error) {
	topic := k.settings.topic
	k.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(offset)}})
	defer k.client.RemoveConsumePartitions(map[string][]int32{topic: {partition}})
	for {
		fetched := k.client.PollRecords(ctx, 1)
		if err := fetched.Err(); err != nil {
			return value{}, err
		}
		for _, record := range fetched.Records() {
			if record.Partition != partition || record.Offset != offset {
				return value{}, fmt.Errorf("partition %d has no record at %d", partition, offset)
			}
			return parseValue(string(record.Value))
		}
	}
}
